// Which bytes go on when a request passes the proxy, and when its response comes back (CONTRACT,
// What a backend gets; RFC 9110, 7.6.1). The heads that leave are built from nothing, of fields
// that were checked. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/head_rules.h"

namespace jamsock {

// "/<token>/rest?query" taken apart; the token is any text of a token's length.
struct SplitTarget {
    std::string_view token;
    std::string_view path;  // "/<token>/rest": the original one without its query
    std::string forwarded;  // "/rest?query" byte for byte; "/" in place of nothing
};

// Nothing if the first part of the path is not shaped like a connection token.
std::optional<SplitTarget> split_target(std::string_view target);

// What the daemon vouches for, in place of whatever the client claimed.
struct VerifiedFields {
    std::optional<std::string> user;
    std::optional<std::string> auth;  // JSON; "{}" if absent
    std::string_view path;
    std::string_view backend_id;
    std::string_view secret;
    std::string_view client_address;
};

// The head of the request to the backend, for a connection that carries only this one.
std::string backend_request_head(const RequestHead& head, std::string_view forwarded_target,
                                 const VerifiedFields& verified);

enum class Framing {
    none,    // no body: the backend's Content-Length, if any, tells of another response's
    length,  // as the backend's Content-Length says
    chunked,
    until_close,
};

// The head of the response to the client.
std::string client_response_head(const ResponseHead& head, Framing framing, bool keep_alive,
                                 std::string_view backend_id);

// The head of an answer of the proxy's own, to a request that got none from a backend. With the
// CORS fields, so that a page may read why.
std::string own_response_head(int status, std::string_view content_type, std::size_t body_size,
                              bool keep_alive);

}  // namespace jamsock
