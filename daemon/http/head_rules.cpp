#include "daemon/http/head_rules.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "daemon/http/ascii.h"

namespace jamsock {

namespace {

using Verdict = std::optional<HeadFault>;  // nothing: sound

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t usual_fields = 16;

tl::unexpected<HeadFault> refuse(std::string sentence, int status = 400) {
    return tl::unexpected(HeadFault{status, std::move(sentence)});
}

Verdict fault(std::string sentence, int status = 400) {
    return HeadFault{status, std::move(sentence)};
}

// RFC 9110, 5.5: tab, space, visible ASCII and the bytes above it.
bool is_field_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}

// '#' would start a fragment, which no request carries; bytes above ASCII are let through as they
// came, since curl sends what was typed.
bool is_target_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7F && byte != '#';
}

bool is_host_character(char c) {
    return is_target_character(c) &&
           std::string_view(",/@?\\\"<>").find(c) == std::string_view::npos;
}

// The next line without its end; nothing if it holds a bare CR or LF, or has no end.
std::optional<std::string_view> take_line(std::string_view& text) {
    const auto end = text.find('\r');
    if (end == std::string_view::npos || text.substr(end, line_end.size()) != line_end) {
        return std::nullopt;
    }
    const std::string_view line = text.substr(0, end);
    if (line.find('\n') != std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + line_end.size());
    return line;
}

Verdict parse_field(std::string_view line, std::vector<Field>& fields) {
    if (line.front() == ' ' || line.front() == '\t') {
        return fault("A header line begins with a space (folded lines are refused).");
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return fault("A header line has no colon.");
    const Field field{line.substr(0, colon), trimmed(line.substr(colon + 1))};
    if (!is_token(field.name))
        return fault("A header's name is empty or has a character it may not.");
    if (!std::ranges::all_of(field.value, is_field_character)) {
        return fault("A header's value has a control character.");
    }
    if (fields.size() == most_fields) return fault("The head has too many headers.", 431);
    fields.push_back(field);
    return {};
}

// `text`: what follows the first line.
Verdict parse_fields(std::string_view text, std::vector<Field>& fields) {
    fields.reserve(usual_fields);
    while (true) {
        const auto line = take_line(text);
        if (!line) return fault("A line of the head does not end with CR LF.");
        if (line->empty()) {
            return text.empty() ? Verdict{} : fault("The head goes on after its empty line.");
        }
        if (auto bad = parse_field(*line, fields)) return bad;
    }
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

// The framing of either kind of message (RFC 9112, 6).
template <class Head>
Verdict read_framing(Head& head, bool is_http_1_0) {
    for (const auto& [name, value] : head.fields) {
        if (equal_ignoring_case(name, "content-length")) {
            if (head.content_length) return fault("The head has two Content-Lengths.");
            head.content_length = parse_length(value);
            if (!head.content_length) return fault("The Content-Length is no length.");
        } else if (equal_ignoring_case(name, "transfer-encoding")) {
            if (head.is_chunked) return fault("The head has two Transfer-Encodings.");
            if (!equal_ignoring_case(value, "chunked")) {
                return fault("The Transfer-Encoding is another one than chunked.");
            }
            head.is_chunked = true;
        }
    }
    if (head.is_chunked && head.content_length) {
        return fault("The head has both a Content-Length and a Transfer-Encoding.");
    }
    if (head.is_chunked && is_http_1_0) return fault("HTTP/1.0 has no Transfer-Encoding.");
    return {};
}

Verdict parse_version(std::string_view version, bool& is_http_1_0) {
    constexpr std::string_view form = "HTTP/d.d";
    if (version.size() != form.size() || !version.starts_with("HTTP/") || version[6] != '.' ||
        !is_digit(version[5]) || !is_digit(version[7])) {
        return fault("The first line has no HTTP version where it must.");
    }
    is_http_1_0 = version == "HTTP/1.0";
    if (!is_http_1_0 && version != "HTTP/1.1")
        return fault("Only HTTP/1.1 and 1.0 are spoken.", 505);
    return {};
}

Verdict parse_request_line(std::string_view line, RequestHead& head) {
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
        return fault("The request line is not a method, a target and a version.");
    }
    head.method = line.substr(0, first);
    head.target = line.substr(first + 1, last - first - 1);
    if (!is_token(head.method)) return fault("The method has a character it may not.");
    if (auto bad = parse_version(line.substr(last + 1), head.is_http_1_0)) return bad;
    if (head.method == "CONNECT") return fault("CONNECT is not served here.", 501);
    if (!head.target.starts_with('/')) return fault("The request's target is not a path.");
    if (!std::ranges::all_of(head.target, is_target_character)) {
        return fault("The request's target has a character it may not.");
    }
    return {};
}

Verdict read_host(RequestHead& head) {
    const auto is_host = [](const Field& field) { return equal_ignoring_case(field.name, "host"); };
    const auto found = std::ranges::find_if(head.fields, is_host);
    if (found == head.fields.end()) {
        return head.is_http_1_0 ? Verdict{} : fault("The head has no Host.");
    }
    if (std::find_if(found + 1, head.fields.end(), is_host) != head.fields.end()) {
        return fault("The head has two Hosts.");
    }
    head.host = found->value;
    if (!std::ranges::all_of(head.host, is_host_character)) {
        return fault("The Host has a character it may not.");
    }
    return {};
}

void read_wishes(RequestHead& head) {
    bool close = false;
    bool keep = false;
    for (const auto& [name, value] : head.fields) {
        if (equal_ignoring_case(name, "connection")) {
            for_each_element(value, [&](std::string_view option) {
                close |= equal_ignoring_case(option, "close");
                keep |= equal_ignoring_case(option, "keep-alive");
                head.wants_upgrade |= equal_ignoring_case(option, "upgrade");
            });
        } else if (equal_ignoring_case(name, "expect")) {
            head.expects_continue |=
                !head.is_http_1_0 && equal_ignoring_case(value, "100-continue");
        }
    }
    head.keep_alive = !close && (keep || !head.is_http_1_0);
}

Verdict parse_status_line(std::string_view line, ResponseHead& head, bool& is_http_1_0) {
    constexpr std::size_t version_size = 8;
    constexpr std::size_t status_end = version_size + 4;  // after a space and three digits
    if (auto bad = parse_version(line.substr(0, version_size), is_http_1_0)) return bad;
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
    if (!std::ranges::all_of(head.reason, is_field_character)) {
        return fault("The status line has a control character.");
    }
    return {};
}

std::string_view without_port(std::string_view host) {
    const auto colon = host.rfind(':');
    if (colon == std::string_view::npos || host.ends_with(']')) return host;
    const std::string_view port = host.substr(colon + 1);
    return std::ranges::all_of(port, is_digit) ? host.substr(0, colon) : host;
}

}  // namespace

std::optional<std::size_t> head_size(std::string_view bytes, std::size_t seen) {
    for (auto at = bytes.find('\n', seen); at != std::string_view::npos;
         at = bytes.find('\n', at + 1)) {
        const std::string_view before = bytes.substr(0, at);
        if (!before.ends_with('\r') || before.ends_with("\r\n\r")) return at + 1;
    }
    return std::nullopt;
}

HeadResult<RequestHead> parse_request_head(std::string_view text) {
    if (text.size() > longest_head) return refuse("The head is too long.", 431);
    RequestHead head{.text = text};
    const auto line = take_line(text);
    if (!line) return refuse("The request line does not end with CR LF.");
    auto bad = parse_request_line(*line, head);
    if (!bad) bad = parse_fields(text, head.fields);
    if (!bad) bad = read_host(head);
    if (!bad) bad = read_framing(head, head.is_http_1_0);
    if (bad) return tl::unexpected(std::move(*bad));
    read_wishes(head);
    return head;
}

HeadResult<ResponseHead> parse_response_head(std::string_view text) {
    if (text.size() > longest_head) return refuse("The head is too long.", 431);
    ResponseHead head{.text = text};
    bool is_http_1_0 = false;
    const auto line = take_line(text);
    if (!line) return refuse("The status line does not end with CR LF.");
    auto bad = parse_status_line(*line, head, is_http_1_0);
    if (!bad) bad = parse_fields(text, head.fields);
    if (!bad) bad = read_framing(head, is_http_1_0);
    if (bad) return tl::unexpected(std::move(*bad));
    return head;
}

bool is_loopback_host(std::string_view host) {
    const std::string_view name = without_port(host);
    constexpr std::string_view subdomain = ".localhost";
    return equal_ignoring_case(name, "localhost") || name == "127.0.0.1" || name == "[::1]" ||
           (name.size() > subdomain.size() &&
            equal_ignoring_case(name.substr(name.size() - subdomain.size()), subdomain));
}

}  // namespace jamsock
