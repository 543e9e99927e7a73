#include "daemon/proxy/header_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "common/error.h"
#include "daemon/http/ascii.h"
#include "daemon/proxy/tokens.h"

namespace jamsock {

namespace {

constexpr std::string_view verified_prefix = "x-verified-";
constexpr std::string_view backend_id_field = "x-jamsock-backend-id";

// RFC 9110, 7.6.1, and what RFC 9112 frames a message with, which is between each two neighbours.
constexpr std::array<std::string_view, 11> hop_by_hop{
    "connection", "content-length",   "keep-alive", "proxy-authenticate", "proxy-authorization",
    "te",         "proxy-connection", "trailer",    "transfer-encoding",  "upgrade",
    "expect",  // answered by the proxy
};
// Written anew by the proxy.
constexpr std::array<std::string_view, 3> overwritten{"host", "x-forwarded-for",
                                                      "x-forwarded-proto"};
constexpr std::array<Field, 3> cors{{{"access-control-allow-origin", "*"},
                                     {"access-control-allow-methods", "*"},
                                     {"access-control-allow-headers", "*, Authorization"}}};

template <class Range>
bool contains(const Range& names, std::string_view name) {
    return std::ranges::find(names, name) != std::ranges::end(names);
}

// In small letters and with dashes: gateways such as CGI and WSGI give "X_Verified_Path" and
// "x-verified-path" to the program under one name.
std::string canonical(std::string_view name) {
    std::string result(name.size(), '\0');
    std::ranges::transform(name, result.begin(),
                           [](char c) { return c == '_' ? '-' : to_lower(c); });
    return result;
}

// The fields that the sender's Connection fields name.
std::vector<std::string> named_by_connection(const std::vector<Field>& fields) {
    std::vector<std::string> names;
    for (const auto& [name, value] : fields) {
        if (!equal_ignoring_case(name, "connection")) continue;
        for_each_element(value,
                         [&](std::string_view option) { names.push_back(canonical(option)); });
    }
    return names;
}

// A value that would end its line, or the head, is never written.
bool is_writable(std::string_view value) {
    return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append(std::string& head, std::string_view name, std::string_view value) {
    if (is_writable(value)) fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
}

void append_end_to_end(std::string& head, const std::vector<Field>& fields, auto is_ours) {
    const std::vector<std::string> named = named_by_connection(fields);
    for (const auto& [name, value] : fields) {
        const std::string known = canonical(name);
        if (contains(hop_by_hop, known) || contains(named, known) || is_ours(known)) continue;
        append(head, name, value);
    }
}

void append_framing(std::string& head, std::optional<std::uint64_t> length, bool is_chunked) {
    if (is_chunked) append(head, "Transfer-Encoding", "chunked");
    if (length) append(head, "Content-Length", fmt::to_string(*length));
}

bool is_cors(std::string_view name) {
    return std::ranges::any_of(
        cors, [&](const Field& field) { return equal_ignoring_case(field.name, name); });
}

void append_cors(std::string& head) {
    for (const auto& [name, value] : cors)
        append(head, name, value);
}

std::string status_line(int status, std::string_view reason) {
    return fmt::format("HTTP/1.1 {} {}\r\n", status, reason);
}

void append_end(std::string& head, bool keep_alive) {
    head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
}

}  // namespace

std::optional<SplitTarget> split_target(std::string_view target) {
    const std::string_view after_slash = target.substr(1);
    const std::string_view token =
        after_slash.substr(0, std::min(after_slash.find_first_of("/?"), after_slash.size()));
    const auto is_base64url = [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_';
    };
    if (token.size() != ConnectionToken::text_size || !std::ranges::all_of(token, is_base64url)) {
        return std::nullopt;
    }
    const std::string_view rest = after_slash.substr(token.size());
    return SplitTarget{
        .token = token,
        .path = target.substr(0, target.find('?')),
        .forwarded = rest.starts_with('/') ? std::string(rest) : fmt::format("/{}", rest)};
}

std::string backend_request_head(const RequestHead& head, std::string_view forwarded_target,
                                 const VerifiedFields& verified) {
    std::string out = fmt::format("{} {} HTTP/1.1\r\n", head.method, forwarded_target);
    append(out, "Host", head.host);
    append_end_to_end(out, head.fields, [](std::string_view name) {
        return name.starts_with(verified_prefix) || contains(overwritten, name);
    });
    append(out, "x-forwarded-for", verified.client_address);
    append(out, "x-forwarded-proto", "http");
    if (verified.user) append(out, "x-verified-username", *verified.user);
    append(out, "x-verified-user-data", verified.auth.value_or("{}"));
    append(out, "x-verified-path", verified.path);
    append(out, "x-verified-backend", verified.backend_id);
    append(out, "x-verified-secret", verified.secret);
    append_framing(out, head.content_length, head.is_chunked);
    append_end(out, false);
    return out;
}

std::string client_response_head(const ResponseHead& head, Framing framing, bool keep_alive,
                                 std::string_view backend_id) {
    std::string out = status_line(head.status, head.reason);
    append_end_to_end(out, head.fields,
                      [](std::string_view name) { return name == backend_id_field; });
    append(out, backend_id_field, backend_id);
    const bool backend_set_cors =
        std::ranges::any_of(head.fields, [](const Field& field) { return is_cors(field.name); });
    if (!backend_set_cors) append_cors(out);
    const bool says_length =
        (framing == Framing::length || framing == Framing::none) && head.status != 204;
    append_framing(out, says_length ? head.content_length : std::nullopt,
                   framing == Framing::chunked);
    append_end(out, keep_alive && framing != Framing::until_close);
    return out;
}

std::string own_response_head(int status, std::string_view content_type, std::size_t body_size,
                              bool keep_alive) {
    std::string out = status_line(status, http_reason(status));
    append(out, "Content-Type", content_type);
    append_cors(out);
    append_framing(out, body_size, false);
    append_end(out, keep_alive);
    return out;
}

}  // namespace jamsock
