#include "daemon/proxy/header_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/error.h"
#include "daemon/http/ascii.h"
#include "daemon/proxy/tokens.h"

namespace jamsock {

namespace {

constexpr std::string_view verified_prefix = "x-verified-";
constexpr std::string_view forwarded_prefix = "x-forwarded-";
constexpr std::string_view forwarded_for = "x-forwarded-for";
constexpr std::string_view forwarded_proto = "x-forwarded-proto";
constexpr std::string_view backend_id_field = "x-jamsock-backend-id";

constexpr std::string_view cors_lines =
    "access-control-allow-origin: *\r\n"
    "access-control-allow-methods: *\r\n"
    "access-control-allow-headers: *, Authorization\r\n";

constexpr ByteSet base64url = bytes_where([](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
});

// In small letters and with dashes: gateways such as CGI and WSGI give "X_Verified_Path" and
// "x-verified-path" to the program under one name.
constexpr char canonical(char c) {
    return c == '_' ? '-' : to_lower(c);
}

bool begins_with(std::string_view name, std::string_view canonical_prefix) {
    return name.size() >= canonical_prefix.size() &&
           std::equal(canonical_prefix.begin(), canonical_prefix.end(), name.begin(),
                      [](char ours, char theirs) { return ours == canonical(theirs); });
}

bool is_same(std::string_view name, std::string_view other) {
    return std::ranges::equal(name, other, {}, canonical, canonical);
}

// As a gateway would read it.
FieldName known_name(const Field& field) {
    if (!field.has_underscore) return field.known;
    std::string name(field.name);
    std::ranges::transform(name, name.begin(), canonical);
    return field_name(name);
}

bool is_named_by_connection(const std::vector<Field>& fields, std::string_view name) {
    bool is_named = false;
    for (const Field& field : fields) {
        if (field.known != FieldName::connection) continue;
        for_each_element(field.value,
                         [&](std::string_view option) { is_named |= is_same(name, option); });
    }
    return is_named;
}

// RFC 9110, 7.6.1, and what RFC 9112 frames a message with: what is between each two neighbours.
bool is_hop_by_hop(FieldName name) {
    switch (name) {
        case FieldName::connection:
        case FieldName::content_length:
        case FieldName::expect:
        case FieldName::keep_alive:
        case FieldName::proxy_authenticate:
        case FieldName::proxy_authorization:
        case FieldName::proxy_connection:
        case FieldName::te:
        case FieldName::trailer:
        case FieldName::transfer_encoding:
        case FieldName::upgrade:
            return true;
        default:
            return false;
    }
}

// What the proxy says in the client's place.
bool is_told_to_backend(std::string_view name) {
    return begins_with(name, verified_prefix) || is_same(name, forwarded_for) ||
           is_same(name, forwarded_proto);
}

void append(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
}

// A value that would end its line, or the head, is never written.
void append_checked(std::string& out, std::string_view name, std::string_view value) {
    if (find_below_or_delete<' '>(value) == value.size()) append(out, name, value);
}

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

// Appends the fields that pass. Neighbours whose lines are as they would be written go in one
// piece.
void append_where(std::string& out, const std::vector<Field>& fields, auto passes) {
    std::string_view run;
    for (const Field& field : fields) {
        if (!passes(field)) continue;
        if (!field.is_plain) {
            out += run;
            run = {};
            append(out, field.name, field.value);
            continue;
        }
        const char* const line = field.name.data();
        const auto size =
            static_cast<std::size_t>(field.value.data() - line) + field.value.size() + 2;
        if (run.data() + run.size() == line) {
            run = {run.data(), run.size() + size};
        } else {
            out += run;
            run = {line, size};
        }
    }
    out += run;
}

void append_end_to_end(std::string& out, const auto& head, auto is_ours) {
    append_where(out, head.fields, [&](const Field& field) {
        return !is_hop_by_hop(known_name(field)) && !is_ours(field) &&
               !(head.names_hop_fields && is_named_by_connection(head.fields, field.name));
    });
}

void append_announced_trailers(std::string& out, const std::vector<Field>& fields) {
    append_where(out, fields, [](const Field& field) { return field.known == FieldName::trailer; });
}

void append_length(std::string& out, std::uint64_t length) {
    out += "Content-Length: ";
    append_number(out, length);
    out += "\r\n";
}

void append_chunked(std::string& out, const std::vector<Field>& fields) {
    out += "Transfer-Encoding: chunked\r\n";
    append_announced_trailers(out, fields);
}

void append_verified(std::string& out, const VerifiedFields& verified) {
    append_checked(out, forwarded_for, verified.client_address);
    append(out, forwarded_proto, "http");
    if (verified.user) append_checked(out, "x-verified-username", *verified.user);
    append_checked(out, "x-verified-user-data", verified.auth.value_or("{}"));
    append_checked(out, "x-verified-path", verified.path);
    append_checked(out, "x-verified-backend", verified.backend_id);
    append_checked(out, "x-verified-secret", verified.secret);
}

void append_upgrade(std::string& out, std::string_view protocols) {
    out += "Connection: Upgrade\r\n";
    append(out, "Upgrade", protocols);
}

void append_status_line(std::string& out, int status, std::string_view reason) {
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::uint64_t>(status));
    out += ' ';
    out += reason;
    out += "\r\n";
}

void append_end(std::string& out, bool keep_alive) {
    out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
}

bool has_cors(const std::vector<Field>& fields) {
    return std::ranges::any_of(
        fields, [](const Field& field) { return field.known == FieldName::access_control; });
}

// What must stand in a head, or nowhere: it frames, routes, identifies, or tells how to read
// (RFC 9110, 6.5.1).
bool belongs_into_head(const Field& field) {
    static constexpr std::array prefixes{
        verified_prefix,
        forwarded_prefix,
        std::string_view("content-"),
        std::string_view("access-control-"),
        std::string_view("if-"),
        std::string_view("proxy-"),
        std::string_view("sec-"),
    };
    static constexpr std::array names{
        backend_id_field,
        std::string_view("age"),
        std::string_view("authorization"),
        std::string_view("cache-control"),
        std::string_view("cookie"),
        std::string_view("date"),
        std::string_view("expires"),
        std::string_view("forwarded"),
        std::string_view("host"),
        std::string_view("location"),
        std::string_view("max-forwards"),
        std::string_view("origin"),
        std::string_view("pragma"),
        std::string_view("range"),
        std::string_view("retry-after"),
        std::string_view("set-cookie"),
        std::string_view("vary"),
        std::string_view("warning"),
        std::string_view("www-authenticate"),
    };
    const auto is_it = [&](std::string_view name) { return is_same(field.name, name); };
    const auto begins = [&](std::string_view prefix) { return begins_with(field.name, prefix); };
    return is_hop_by_hop(known_name(field)) || std::ranges::any_of(names, is_it) ||
           std::ranges::any_of(prefixes, begins);
}

}  // namespace

std::optional<SplitTarget> split_target(std::string_view target) {
    const std::string_view after_slash = target.substr(1);
    const std::string_view token =
        after_slash.substr(0, std::min(after_slash.find_first_of("/?"), after_slash.size()));
    const auto is_base64url = [](char c) { return contains(base64url, c); };
    if (token.size() != ConnectionToken::text_size || !std::ranges::all_of(token, is_base64url)) {
        return std::nullopt;
    }
    return SplitTarget{.token = token,
                       .path = target.substr(0, target.find('?')),
                       .rest = after_slash.substr(token.size())};
}

void append_backend_request_head(std::string& out, const RequestHead& head, std::string_view rest,
                                 const VerifiedFields& verified) {
    out += head.method;
    out += rest.starts_with('/') ? " " : " /";
    out += rest;
    out += " HTTP/1.1\r\n";
    append(out, "Host", head.host);
    append_end_to_end(out, head, [](const Field& field) {
        return field.known == FieldName::host || is_told_to_backend(field.name);
    });
    append_verified(out, verified);
    if (head.wants_upgrade) append_upgrade(out, head.upgrade);
    if (head.expects_continue && head.has_body()) append(out, "Expect", "100-continue");
    if (head.is_chunked) append_chunked(out, head.fields);
    if (head.content_length) append_length(out, *head.content_length);
    out += "\r\n";
}

void append_client_response_head(std::string& out, const ResponseHead& head, Framing framing,
                                 bool keep_alive, std::string_view backend_id) {
    append_status_line(out, head.status, head.reason);
    append_end_to_end(out, head,
                      [](const Field& field) { return is_same(field.name, backend_id_field); });
    append(out, backend_id_field, backend_id);
    if (head.status == 101) append_upgrade(out, head.upgrade);
    if (head.status < 200) {
        out += "\r\n";
        return;
    }
    if (!has_cors(head.fields)) out += cors_lines;
    const bool says_length =
        (framing == Framing::length || framing == Framing::none) && head.status != 204;
    if (says_length && head.content_length) append_length(out, *head.content_length);
    if (framing == Framing::chunked) append_chunked(out, head.fields);
    append_end(out, keep_alive && framing != Framing::until_close);
}

void append_trailers(std::string& out, const std::vector<Field>& trailers) {
    append_where(out, trailers, [](const Field& field) { return !belongs_into_head(field); });
}

std::string own_response_head(int status, std::string_view content_type, std::size_t body_size,
                              bool keep_alive) {
    std::string out;
    append_status_line(out, status, http_reason(status));
    append(out, "Content-Type", content_type);
    out += cors_lines;
    append_length(out, body_size);
    append_end(out, keep_alive);
    return out;
}

}  // namespace jamsock
