#include "daemon/http/head_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "daemon/http/ascii.h"
#include "daemon/http/scan.h"

namespace jamsock {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t usual_fields = 16;

// What is wrong; sound if there is no sentence. A HeadFault that costs nothing.
struct Flaw {
    const char* sentence = nullptr;
    int status = 400;

    explicit operator bool() const { return sentence != nullptr; }
};

std::optional<HeadFault> to_fault(Flaw flaw) {
    if (!flaw) return std::nullopt;
    return HeadFault{flaw.status, flaw.sentence};
}

struct KnownName {
    std::string_view name;
    FieldName known;
};

// In small letters, by length.
constexpr std::array known_names{
    KnownName{"te", FieldName::te},
    KnownName{"host", FieldName::host},
    KnownName{"accept", FieldName::accept},
    KnownName{"expect", FieldName::expect},
    KnownName{"origin", FieldName::origin},
    KnownName{"trailer", FieldName::trailer},
    KnownName{"upgrade", FieldName::upgrade},
    KnownName{"connection", FieldName::connection},
    KnownName{"keep-alive", FieldName::keep_alive},
    KnownName{"content-length", FieldName::content_length},
    KnownName{"proxy-connection", FieldName::proxy_connection},
    KnownName{"transfer-encoding", FieldName::transfer_encoding},
    KnownName{"proxy-authenticate", FieldName::proxy_authenticate},
    KnownName{"proxy-authorization", FieldName::proxy_authorization},
    KnownName{"access-control-allow-origin", FieldName::access_control},
    KnownName{"access-control-allow-methods", FieldName::access_control},
    KnownName{"access-control-allow-headers", FieldName::access_control},
};
constexpr std::size_t longest_known_name = known_names.back().name.size();

static_assert(std::ranges::is_sorted(known_names, {},
                                     [](const KnownName& known) { return known.name.size(); }));

// Where the names of a length begin; the last entry is the end.
constexpr auto first_of_length = [] {
    std::array<std::uint8_t, longest_known_name + 2> first{};
    for (std::size_t length = 0; length < first.size(); ++length) {
        while (first[length] < known_names.size() &&
               known_names[first[length]].name.size() < length)
            ++first[length];
    }
    return first;
}();

// `small`: letters, in their small form, and dashes. `name`: a token, as long, in whose characters
// the letters' case is the one bit that may differ.
bool is_spelt(std::string_view small, std::string_view name) {
    std::size_t at = 0;
    while (at < small.size() && small[at] == (name[at] | 0x20))
        ++at;
    return at == small.size();
}

// RFC 9110, 5.5: tab, space, visible ASCII and the bytes above it.
std::size_t field_characters(std::string_view text) {
    std::size_t at = find_control(text);
    while (at < text.size() && text[at] == '\t')
        at += 1 + find_control(text.substr(at + 1));
    return at;
}

// `is_odd`: it has other characters than letters, digits and dashes.
std::size_t token_characters_of(std::string_view text, bool& is_odd) {
    std::size_t at = find_other_than_word(text);
    is_odd = at < text.size() && is_token_character(text[at]);
    if (!is_odd) return at;
    while (at < text.size() && is_token_character(text[at]))
        ++at;
    return at;
}

constexpr ByteSet host_characters = bytes_where([](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7F &&
           std::string_view("#,/@?\\\"<>").find(c) == std::string_view::npos;
});

bool is_host(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return contains(host_characters, c); });
}

// Takes a header's name off `text`, with its colon.
Flaw take_name(std::string_view& text, Field& field) {
    const std::size_t size = token_characters_of(text, field.is_odd);
    const char end = size < text.size() ? text[size] : '\n';
    if (size > 0 && end == ':') {
        field.name = text.substr(0, size);
        field.known = field_name(field.name);
        text.remove_prefix(size + 1);
        return {};
    }
    if (end == '\r' || end == '\n') return {"A header line has no colon."};
    if (size == 0 && (end == ' ' || end == '\t')) {
        return {"A header line begins with a space (folded lines are refused)."};
    }
    return {"A header's name is empty or has a character it may not."};
}

Flaw bad_line_end(std::string_view rest) {
    const bool is_line_end = rest.empty() || rest.front() == '\r' || rest.front() == '\n';
    return {is_line_end ? "A line of the head does not end with CR LF."
                        : "A header's value has a control character."};
}

// Takes the rest of a header's line off `text`.
Flaw take_value(std::string_view& text, Field& field) {
    const std::size_t size = field_characters(text);
    if (!text.substr(size).starts_with(line_end)) return bad_line_end(text.substr(size));
    field.value = trimmed(text.substr(0, size));
    field.is_plain = text.front() == ' ' && field.value.size() + 1 == size;
    text.remove_prefix(size + line_end.size());
    return {};
}

Flaw take_fields(std::string_view text, std::vector<Field>& fields) {
    fields.reserve(usual_fields);
    while (!text.starts_with(line_end)) {
        if (fields.size() == most_fields) return {"The head has too many headers.", 431};
        Field& field = fields.emplace_back();
        if (const Flaw flaw = take_name(text, field)) return flaw;
        if (const Flaw flaw = take_value(text, field)) return flaw;
    }
    if (text.size() > line_end.size()) return {"The head goes on after its empty line."};
    return {};
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
    std::uint64_t length = 0;
    if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (failed != std::errc{} || length > std::numeric_limits<std::int64_t>::max()) {
        return std::nullopt;
    }
    return length;
}

// What Connection fields say (RFC 9110, 7.6.1).
struct Options {
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    std::size_t names = 0;  // of fields
};

void read_options(std::string_view list, Options& options) {
    for_each_element(list, [&](std::string_view option) {
        if (equal_ignoring_case(option, "close")) {
            options.close = true;
        } else if (equal_ignoring_case(option, "keep-alive")) {
            options.keep_alive = true;
        } else if (equal_ignoring_case(option, "upgrade")) {
            options.upgrade = true;
        } else {
            ++options.names;
        }
    });
}

// The framing of either kind of message (RFC 9112, 6), and its connection.
template <class Head>
Flaw read_shared(Head& head, const Field& field, Options& options) {
    switch (field.known) {
        case FieldName::content_length:
            if (head.content_length) return Flaw{"The head has two Content-Lengths."};
            head.content_length = parse_length(field.value);
            if (!head.content_length) return Flaw{"The Content-Length is no length."};
            return {};
        case FieldName::transfer_encoding:
            if (head.is_chunked) return Flaw{"The head has two Transfer-Encodings."};
            if (!equal_ignoring_case(field.value, "chunked")) {
                return Flaw{"The Transfer-Encoding is another one than chunked."};
            }
            head.is_chunked = true;
            return {};
        case FieldName::connection:
            read_options(field.value, options);
            return {};
        case FieldName::upgrade:
            if (!head.upgrade.empty()) return Flaw{"The head has two Upgrades."};
            head.upgrade = field.value;
            return {};
        default:
            return {};
    }
}

Flaw read_own(ResponseHead&, const Field&) {
    return {};
}

Flaw read_own(RequestHead& head, const Field& field) {
    switch (field.known) {
        case FieldName::host:
            if (head.host.data() != nullptr) return Flaw{"The head has two Hosts."};
            if (!is_host(field.value)) return Flaw{"The Host has a character it may not."};
            head.host = field.value;
            return {};
        case FieldName::origin:
            if (head.origin.data() != nullptr) return Flaw{"The head has two Origins."};
            head.origin = field.value;
            return {};
        case FieldName::expect:
            head.expects_continue |=
                !head.is_http_1_0 && equal_ignoring_case(field.value, "100-continue");
            return {};
        default:
            return {};
    }
}

template <class Head>
Flaw read_fields(Head& head, Options& options) {
    for (const Field& field : head.fields) {
        if (field.known == FieldName::other) continue;
        if (const Flaw flaw = read_shared(head, field, options)) return flaw;
        if (const Flaw flaw = read_own(head, field)) return flaw;
    }
    if (head.is_chunked && head.content_length) {
        return Flaw{"The head has both a Content-Length and a Transfer-Encoding."};
    }
    if (head.is_chunked && head.is_http_1_0) return Flaw{"HTTP/1.0 has no Transfer-Encoding."};
    if (options.names > most_fields) return Flaw{"The Connection names too many headers.", 431};
    head.keep_alive = !options.close && (options.keep_alive || !head.is_http_1_0);
    head.names_hop_fields = options.names > 0;
    return {};
}

// HTTP behind the proxy's back, in another version or within TLS (RFC 2817), could name any user,
// so the wish for it is ignored, as every server may (RFC 9110, 7.8).
bool leads_to_http(std::string_view protocol) {
    const std::string_view name = protocol.substr(0, protocol.find('/'));
    return equal_ignoring_case(name, "http") || equal_ignoring_case(name, "h2c") ||
           equal_ignoring_case(name, "h2") || equal_ignoring_case(name, "tls");
}

void read_upgrade(RequestHead& head, const Options& options) {
    bool is_empty = true;
    bool is_other_than_http = true;
    for_each_element(head.upgrade, [&](std::string_view protocol) {
        is_empty = false;
        is_other_than_http &= !leads_to_http(protocol);
    });
    head.wants_upgrade = options.upgrade && !head.is_http_1_0 && !is_empty && is_other_than_http;
    if (!head.wants_upgrade) head.upgrade = {};
}

Flaw parse_version(std::string_view version, bool& is_http_1_0) {
    constexpr std::string_view form = "HTTP/d.d";
    is_http_1_0 = version == "HTTP/1.0";
    if (version == "HTTP/1.1" || is_http_1_0) return {};
    if (version.size() != form.size() || !version.starts_with("HTTP/") || version[6] != '.' ||
        !is_digit(version[5]) || !is_digit(version[7])) {
        return {"The first line has no HTTP version where it must."};
    }
    return {"Only HTTP/1.1 and 1.0 are spoken.", 505};
}

// RFC 9112, 3.2.2: a client that takes the server for a proxy names it in the target. The path is
// what counts, once `authority` has been compared with the Host.
void cut_authority(std::string_view& target, std::string_view& authority) {
    constexpr std::string_view scheme = "http://";
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) return;
    const auto path = target.find('/', scheme.size());
    if (path == std::string_view::npos) return;
    authority = target.substr(scheme.size(), path - scheme.size());
    if (!authority.empty()) target.remove_prefix(path);
}

// `authority`: what an absolute target names, else empty.
Flaw take_request_line(std::string_view& text, RequestHead& head, std::string_view& authority) {
    bool is_odd = false;
    head.method = text.substr(0, token_characters_of(text, is_odd));
    text.remove_prefix(head.method.size());
    if (head.method.empty() || !text.starts_with(' ')) {
        return {"The request line does not begin with a method and a space."};
    }
    text.remove_prefix(1);
    head.target = text.substr(0, find_control_or_space(text));
    text.remove_prefix(head.target.size());
    if (!text.starts_with(' ')) return {"The request's target has a character it may not."};
    const std::string_view version = text.substr(1, field_characters(text) - 1);
    text.remove_prefix(1 + version.size());
    if (!text.starts_with(line_end)) return {"The request line does not end with CR LF."};
    text.remove_prefix(line_end.size());
    if (const Flaw flaw = parse_version(version, head.is_http_1_0)) return flaw;

    if (head.method == "CONNECT") return {"CONNECT is not served here.", 501};
    if (!head.target.starts_with('/')) cut_authority(head.target, authority);
    if (!head.target.starts_with('/')) return {"The request's target is not a path."};
    if (head.target.find('#') != std::string_view::npos) {
        return {"The request's target has a character it may not."};
    }
    return {};
}

Flaw take_status_line(std::string_view& text, ResponseHead& head) {
    constexpr std::size_t version_size = 8;
    constexpr std::size_t status_end = version_size + 4;  // after a space and three digits
    const std::string_view line = text.substr(0, field_characters(text));
    text.remove_prefix(line.size());
    if (!text.starts_with(line_end)) return {"The status line does not end with CR LF."};
    text.remove_prefix(line_end.size());
    if (const Flaw flaw = parse_version(line.substr(0, version_size), head.is_http_1_0)) {
        return flaw;
    }
    if (line.size() < status_end || line[version_size] != ' ' ||
        (line.size() > status_end && line[status_end] != ' ')) {
        return {"The status line has no status where it must."};
    }
    for (const char digit : line.substr(version_size + 1, 3)) {
        if (!is_digit(digit)) return {"The status is no number."};
        head.status = head.status * 10 + (digit - '0');
    }
    if (head.status < 100 || head.status > 599) return {"The status is none of 100 to 599."};
    head.reason = trimmed(line.substr(status_end));
    return {};
}

Flaw check_host(const RequestHead& head, std::string_view authority) {
    if (head.host.data() == nullptr && !head.is_http_1_0) return {"The head has no Host."};
    if (!authority.empty() && !equal_ignoring_case(authority, head.host)) {
        return {"The request's target leads to another host than the Host."};
    }
    return {};
}

Flaw parse(std::string_view text, RequestHead& head) {
    if (text.size() > longest_head) return {"The head is too long.", 431};
    std::string_view authority;
    Options options;
    if (const Flaw flaw = take_request_line(text, head, authority)) return flaw;
    if (const Flaw flaw = take_fields(text, head.fields)) return flaw;
    if (const Flaw flaw = read_fields(head, options)) return flaw;
    read_upgrade(head, options);
    return check_host(head, authority);
}

Flaw parse(std::string_view text, ResponseHead& head) {
    if (text.size() > longest_head) return {"The head is too long.", 431};
    Options options;
    if (const Flaw flaw = take_status_line(text, head)) return flaw;
    if (const Flaw flaw = take_fields(text, head.fields)) return flaw;
    return read_fields(head, options);
}

// Empty, but for the storage of its fields.
template <class Head>
void begin(Head& head, std::string_view text) {
    std::vector<Field> fields = std::move(head.fields);
    fields.clear();
    head = Head{};
    head.text = text;
    head.fields = std::move(fields);
}

struct HostAndPort {
    std::string_view name;
    std::string_view port;  // empty: none
};

// Of which the port is a number, if there is one: else it is part of the name.
HostAndPort split_host(std::string_view host) {
    const auto colon = host.rfind(':');
    if (colon == std::string_view::npos || host.ends_with(']')) return {host, {}};
    const std::string_view port = host.substr(colon + 1);
    if (!std::ranges::all_of(port, is_digit)) return {host, {}};
    return {host.substr(0, colon), port};
}

bool is_loopback(std::string_view name) {
    constexpr std::string_view subdomain = ".localhost";
    return equal_ignoring_case(name, "localhost") || name == "127.0.0.1" || name == "[::1]" ||
           (name.size() > subdomain.size() &&
            equal_ignoring_case(name.substr(name.size() - subdomain.size()), subdomain));
}

// What stands between the dots of a host's name.
bool is_label(std::string_view text) {
    constexpr std::size_t longest_label = 63;
    const auto may_be_in_one = [](char c) {
        return is_digit(c) || c == '-' || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
    };
    return !text.empty() && text.size() <= longest_label && text.front() != '-' &&
           text.back() != '-' && std::ranges::all_of(text, may_be_in_one);
}

}  // namespace

FieldName field_name(std::string_view name) {
    if (name.size() > longest_known_name) return FieldName::other;
    const std::size_t end = first_of_length[name.size() + 1];
    for (std::size_t i = first_of_length[name.size()]; i < end; ++i) {
        if (is_spelt(known_names[i].name, name)) return known_names[i].known;
    }
    return FieldName::other;
}

std::optional<std::size_t> head_size(std::string_view bytes, std::size_t seen) {
    for (auto at = bytes.find('\n', seen); at != std::string_view::npos;
         at = bytes.find('\n', at + 1)) {
        const std::string_view before = bytes.substr(0, at);
        if (!before.ends_with('\r') || before.ends_with("\r\n\r")) return at + 1;
    }
    return std::nullopt;
}

std::optional<HeadFault> parse_fields(std::string_view text, std::vector<Field>& fields) {
    return to_fault(take_fields(text, fields));
}

std::optional<HeadFault> parse_request_head(std::string_view text, RequestHead& head) {
    begin(head, text);
    return to_fault(parse(text, head));
}

std::optional<HeadFault> parse_response_head(std::string_view text, ResponseHead& head) {
    begin(head, text);
    return to_fault(parse(text, head));
}

tl::expected<RequestHead, HeadFault> parse_request_head(std::string_view text) {
    RequestHead head;
    if (auto bad = parse_request_head(text, head)) return tl::unexpected(std::move(*bad));
    return head;
}

bool is_own_host(std::string_view host, std::span<const std::string> names) {
    const std::string_view name = split_host(host).name;
    return is_loopback(name) || std::ranges::any_of(names, [&](const std::string& own) {
               return equal_ignoring_case(name, own);
           });
}

bool is_host_name(std::string_view text) {
    constexpr std::size_t longest_name = 253;
    if (text.size() > longest_name) return false;
    while (true) {
        const auto end = std::min(text.find('.'), text.size());
        if (!is_label(text.substr(0, end))) return false;
        if (end == text.size()) return true;
        text.remove_prefix(end + 1);
    }
}

bool is_own_origin(std::string_view origin, std::string_view host) {
    const auto scheme_end = origin.find("://");
    if (scheme_end == std::string_view::npos) return false;
    const std::string_view scheme = origin.substr(0, scheme_end);
    const bool is_https = equal_ignoring_case(scheme, "https");
    if (!is_https && !equal_ignoring_case(scheme, "http")) return false;
    const auto with_port = [&](std::string_view text) {
        HostAndPort split = split_host(text);
        if (split.port.empty()) split.port = is_https ? "443" : "80";
        return split;
    };
    const HostAndPort theirs = with_port(origin.substr(scheme_end + 3));
    const HostAndPort ours = with_port(host);
    return !ours.name.empty() && equal_ignoring_case(theirs.name, ours.name) &&
           theirs.port == ours.port;
}

}  // namespace jamsock
