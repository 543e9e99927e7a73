#include "daemon/http/head_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "daemon/http/ascii.h"

namespace jamsock {

namespace {

using Verdict = std::optional<HeadFault>;  // nothing: sound

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t usual_fields = 16;

Verdict fault(const char* sentence, int status = 400) {
    return HeadFault{status, sentence};
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

// RFC 9110, 5.5: tab, space, visible ASCII and the bytes above it.
std::size_t field_characters(std::string_view text) {
    std::size_t at = find_below_or_delete<' '>(text);
    while (at < text.size() && text[at] == '\t')
        at += 1 + find_below_or_delete<' '>(text.substr(at + 1));
    return at;
}

// Visible ASCII and the bytes above it, which are let through as they came, since curl sends what
// was typed. '#' would start a fragment, which no request carries.
std::size_t target_characters(std::string_view text) {
    return find_below_or_delete<'!'>(text);
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
Verdict take_name(std::string_view& text, Field& field) {
    std::size_t size = 0;
    while (size < text.size() && is_token_character(text[size])) {
        field.has_underscore |= text[size] == '_';
        ++size;
    }
    if (size == text.size() || text[size] == '\r' || text[size] == '\n') {
        return fault("A header line has no colon.");
    }
    if (size == 0 && (text[0] == ' ' || text[0] == '\t')) {
        return fault("A header line begins with a space (folded lines are refused).");
    }
    if (size == 0 || text[size] != ':') {
        return fault("A header's name is empty or has a character it may not.");
    }
    field.name = text.substr(0, size);
    field.known = field_name(field.name);
    text.remove_prefix(size + 1);
    return {};
}

// Takes the rest of a header's line off `text`.
Verdict take_value(std::string_view& text, Field& field) {
    const std::size_t size = field_characters(text);
    if (text.substr(size, line_end.size()) != line_end) {
        const bool is_line_end = size == text.size() || text[size] == '\r' || text[size] == '\n';
        return is_line_end ? fault("A line of the head does not end with CR LF.")
                           : fault("A header's value has a control character.");
    }
    field.value = trimmed(text.substr(0, size));
    field.is_plain = text[0] == ' ' && field.value.size() + 1 == size;
    text.remove_prefix(size + line_end.size());
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
Verdict read_shared(Head& head, const Field& field, Options& options) {
    switch (field.known) {
        case FieldName::content_length:
            if (head.content_length) return fault("The head has two Content-Lengths.");
            head.content_length = parse_length(field.value);
            if (!head.content_length) return fault("The Content-Length is no length.");
            return {};
        case FieldName::transfer_encoding:
            if (head.is_chunked) return fault("The head has two Transfer-Encodings.");
            if (!equal_ignoring_case(field.value, "chunked")) {
                return fault("The Transfer-Encoding is another one than chunked.");
            }
            head.is_chunked = true;
            return {};
        case FieldName::connection:
            read_options(field.value, options);
            return {};
        case FieldName::upgrade:
            if (!head.upgrade.empty()) return fault("The head has two Upgrades.");
            head.upgrade = field.value;
            return {};
        default:
            return {};
    }
}

Verdict read_own(ResponseHead&, const Field&) {
    return {};
}

Verdict read_own(RequestHead& head, const Field& field) {
    switch (field.known) {
        case FieldName::host:
            if (head.host.data() != nullptr) return fault("The head has two Hosts.");
            if (!is_host(field.value)) return fault("The Host has a character it may not.");
            head.host = field.value;
            return {};
        case FieldName::origin:
            if (head.origin.data() != nullptr) return fault("The head has two Origins.");
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
Verdict read_fields(Head& head, Options& options) {
    for (const Field& field : head.fields) {
        if (field.known == FieldName::other) continue;
        if (auto bad = read_shared(head, field, options)) return bad;
        if (auto bad = read_own(head, field)) return bad;
    }
    if (head.is_chunked && head.content_length) {
        return fault("The head has both a Content-Length and a Transfer-Encoding.");
    }
    if (head.is_chunked && head.is_http_1_0) return fault("HTTP/1.0 has no Transfer-Encoding.");
    if (options.names > most_fields) return fault("The Connection names too many headers.", 431);
    head.keep_alive = !options.close && (options.keep_alive || !head.is_http_1_0);
    head.names_hop_fields = options.names > 0;
    return {};
}

// Another version of HTTP behind the proxy's back could name any user, so the wish for one is
// ignored, as every server may (RFC 9110, 7.8).
bool is_http(std::string_view protocol) {
    const std::string_view name = protocol.substr(0, protocol.find('/'));
    return equal_ignoring_case(name, "http") || equal_ignoring_case(name, "h2c") ||
           equal_ignoring_case(name, "h2");
}

void read_upgrade(RequestHead& head, const Options& options) {
    bool is_empty = true;
    bool leads_to_http = false;
    for_each_element(head.upgrade, [&](std::string_view protocol) {
        is_empty = false;
        leads_to_http |= is_http(protocol);
    });
    head.wants_upgrade = options.upgrade && !head.is_http_1_0 && !is_empty && !leads_to_http;
    if (!head.wants_upgrade) head.upgrade = {};
}

Verdict parse_version(std::string_view version, bool& is_http_1_0) {
    constexpr std::string_view form = "HTTP/d.d";
    is_http_1_0 = version == "HTTP/1.0";
    if (version == "HTTP/1.1" || is_http_1_0) return {};
    if (version.size() != form.size() || !version.starts_with("HTTP/") || version[6] != '.' ||
        !is_digit(version[5]) || !is_digit(version[7])) {
        return fault("The first line has no HTTP version where it must.");
    }
    return fault("Only HTTP/1.1 and 1.0 are spoken.", 505);
}

// The next line without its end; nothing if it holds a bare CR or LF, or has no end.
std::optional<std::string_view> take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, field_characters(text));
    if (text.substr(line.size(), line_end.size()) != line_end) return std::nullopt;
    text.remove_prefix(line.size() + line_end.size());
    return line;
}

Verdict parse_request_line(std::string_view line, RequestHead& head) {
    std::size_t size = 0;
    while (size < line.size() && is_token_character(line[size]))
        ++size;
    head.method = line.substr(0, size);
    if (size == 0 || line.substr(size, 1) != " ") {
        return fault("The request line does not begin with a method and a space.");
    }
    line.remove_prefix(size + 1);
    head.target = line.substr(0, target_characters(line));
    line.remove_prefix(head.target.size());
    if (!line.starts_with(' ')) return fault("The request's target has a character it may not.");
    if (auto bad = parse_version(line.substr(1), head.is_http_1_0)) return bad;
    if (head.method == "CONNECT") return fault("CONNECT is not served here.", 501);
    if (!head.target.starts_with('/')) return fault("The request's target is not a path.");
    if (head.target.find('#') != std::string_view::npos) {
        return fault("The request's target has a character it may not.");
    }
    return {};
}

Verdict parse_status_line(std::string_view line, ResponseHead& head) {
    constexpr std::size_t version_size = 8;
    constexpr std::size_t status_end = version_size + 4;  // after a space and three digits
    if (auto bad = parse_version(line.substr(0, version_size), head.is_http_1_0)) return bad;
    if (line.size() < status_end || line[version_size] != ' ' ||
        (line.size() > status_end && line[status_end] != ' ')) {
        return fault("The status line has no status where it must.");
    }
    const std::string_view status = line.substr(version_size + 1, 3);
    if (!std::ranges::all_of(status, is_digit) || status < "100" || status > "599") {
        return fault("The status is none of 100 to 599.");
    }
    std::from_chars(status.data(), status.data() + status.size(), head.status);
    head.reason = trimmed(line.substr(status_end));
    return {};
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

}  // namespace

FieldName field_name(std::string_view name) {
    if (name.size() > longest_known_name) return FieldName::other;
    const std::size_t end = first_of_length[name.size() + 1];
    for (std::size_t i = first_of_length[name.size()]; i < end; ++i) {
        if (equal_ignoring_case(name, known_names[i].name)) return known_names[i].known;
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
    fields.reserve(usual_fields);
    while (!text.starts_with(line_end)) {
        Field field;
        auto bad = take_name(text, field);
        if (!bad) bad = take_value(text, field);
        if (bad) return bad;
        if (fields.size() == most_fields) return fault("The head has too many headers.", 431);
        fields.push_back(field);
    }
    if (text.size() > line_end.size()) return fault("The head goes on after its empty line.");
    return {};
}

std::optional<HeadFault> parse_request_head(std::string_view text, RequestHead& head) {
    if (text.size() > longest_head) return fault("The head is too long.", 431);
    begin(head, text);
    const auto line = take_line(text);
    if (!line) return fault("The request line has a control character, or no CR LF at its end.");
    Options options;
    auto bad = parse_request_line(*line, head);
    if (!bad) bad = parse_fields(text, head.fields);
    if (!bad) bad = read_fields(head, options);
    if (bad) return bad;
    if (head.host.data() == nullptr && !head.is_http_1_0) return fault("The head has no Host.");
    read_upgrade(head, options);
    return {};
}

std::optional<HeadFault> parse_response_head(std::string_view text, ResponseHead& head) {
    if (text.size() > longest_head) return fault("The head is too long.", 431);
    begin(head, text);
    const auto line = take_line(text);
    if (!line) return fault("The status line has a control character, or no CR LF at its end.");
    Options options;
    auto bad = parse_status_line(*line, head);
    if (!bad) bad = parse_fields(text, head.fields);
    if (!bad) bad = read_fields(head, options);
    return bad;
}

HeadResult<RequestHead> parse_request_head(std::string_view text) {
    RequestHead head;
    if (auto bad = parse_request_head(text, head)) return tl::unexpected(std::move(*bad));
    return head;
}

HeadResult<ResponseHead> parse_response_head(std::string_view text) {
    ResponseHead head;
    if (auto bad = parse_response_head(text, head)) return tl::unexpected(std::move(*bad));
    return head;
}

bool is_loopback_host(std::string_view host) {
    const std::string_view name = split_host(host).name;
    constexpr std::string_view subdomain = ".localhost";
    return equal_ignoring_case(name, "localhost") || name == "127.0.0.1" || name == "[::1]" ||
           (name.size() > subdomain.size() &&
            equal_ignoring_case(name.substr(name.size() - subdomain.size()), subdomain));
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
