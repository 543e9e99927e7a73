// The rules by which a message's head is read (RFC 9112), so strict that nobody behind us could
// read it in another way: what is ambiguous is refused, never repaired. Pure; no sockets. One pass
// over the bytes, and no allocation but the growth of `fields`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace jamsock {

inline constexpr std::size_t longest_head = 64 * 1024;  // with its empty line
inline constexpr std::size_t most_fields = 100;

struct HeadFault {
    int status = 400;      // to answer with
    std::string sentence;  // why
};

// The fields that mean something to a server or a proxy.
enum class FieldName : std::uint8_t {
    other,
    accept,
    access_control,  // one of the three that CORS's answers begin with: Allow-Origin, -Methods,
                     // -Headers
    connection,
    content_length,
    expect,
    host,
    keep_alive,
    origin,
    proxy_authenticate,
    proxy_authorization,
    proxy_connection,
    te,
    trailer,
    transfer_encoding,
    upgrade,
};

// Which of them a name is, in any letter case.
FieldName field_name(std::string_view name);

struct Field {
    std::string_view name;
    std::string_view value;  // without the spaces around it
    FieldName known = FieldName::other;
    bool is_odd = false;    // its name has other characters than letters, digits and dashes
    bool is_plain = false;  // its line reads name, colon, one space, value, CR LF
};

// All views are into the text that was parsed.
struct RequestHead {
    std::string_view text;  // all of it, with the empty line
    std::string_view method;
    std::string_view target;  // begins with '/', also if it came in absolute form
    bool is_http_1_0 = false;
    std::vector<Field> fields;
    std::string_view host;  // empty if an HTTP/1.0 client sent none
    std::optional<std::uint64_t> content_length;
    bool is_chunked = false;
    bool keep_alive = false;        // the client would use the connection again
    bool expects_continue = false;  // it waits for `100 Continue` before its body
    bool wants_upgrade = false;
    std::string_view upgrade;       // to which protocols, if it wants one
    std::string_view origin;        // empty: none
    bool names_hop_fields = false;  // Connection names fields, not only close, keep-alive, upgrade

    bool has_body() const { return is_chunked || content_length.value_or(0) > 0; }
};

struct ResponseHead {
    std::string_view text;
    bool is_http_1_0 = false;
    int status = 0;
    std::string_view reason;
    std::vector<Field> fields;
    std::optional<std::uint64_t> content_length;
    bool is_chunked = false;
    bool keep_alive = false;   // the backend would use the connection again
    std::string_view upgrade;  // empty: none
    bool names_hop_fields = false;
};

// How many of `bytes` are ready to be judged: a whole head, or one up to a line end that no head
// may have (so that it is refused without a wait for more). The first `seen` bytes were looked at
// before.
std::optional<std::size_t> head_size(std::string_view bytes, std::size_t seen = 0);

// `text`: the raw bytes up to and including the empty line. `head` is written anew, but keeps the
// storage of its fields; it is of no use after a fault.
std::optional<HeadFault> parse_request_head(std::string_view text, RequestHead& head);
std::optional<HeadFault> parse_response_head(std::string_view text, ResponseHead& head);
tl::expected<RequestHead, HeadFault> parse_request_head(std::string_view text);

// Header lines up to and including the empty line, behind those that `fields` has: a head without
// its first line, or a trailer section.
std::optional<HeadFault> parse_fields(std::string_view text, std::vector<Field>& fields);

// Whether a Host names this machine, with or without a port: its loopback (localhost, *.localhost,
// 127.0.0.1 or [::1]), or one of `names`. A web page that had its own name resolve to 127.0.0.1
// (DNS rebinding) fails here.
bool is_own_host(std::string_view host, std::span<const std::string> names);
inline constexpr const char* not_own_host =
    "The Host is neither this machine's loopback nor one of 'hosts' in config.toml.";

// Whether it is a name that a Host can have (RFC 1123, 2.1), without a port.
bool is_host_name(std::string_view text);

// Whether a page's origin (RFC 6454) is the server that `host` names: the same name and port. A
// port that is left out, on either side, is the one of the origin's scheme, http or https.
bool is_own_origin(std::string_view origin, std::string_view host);

}  // namespace jamsock
