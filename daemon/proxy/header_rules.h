// Which bytes go on when a request passes the proxy, and when its response comes back (CONTRACT,
// What a backend gets; RFC 9110, 7.6.1). The heads that leave are built from nothing, of fields
// that were checked. Pure. Everything is appended, so that one string serves all heads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/head_rules.h"

namespace jamsock {

// Whether a field carries `text` as it is: a control character could end its line, and blanks at
// its edges are none of the value (RFC 9110, 5.5). What is not is never written.
bool is_exact_as_value(std::string_view text);

// "/<token>/rest?query" taken apart; the token is any text of a token's length.
struct SplitTarget {
    std::string_view token;
    std::string_view path;  // "/<token>/rest": the original one without its query
    std::string_view rest;  // what follows the token: "/rest?query", "?query" or nothing
};

// Nothing if the first part of the path is not shaped like a connection token.
std::optional<SplitTarget> split_target(std::string_view target);

// The token in the request line of a head that has not come to its end; nothing if its path does
// not begin with what is shaped like one.
std::optional<std::string_view> token_in_beginning(std::string_view head);

// What the daemon vouches for, in place of whatever the client claimed.
struct VerifiedFields {
    std::optional<std::string_view> user;
    std::optional<std::string_view> auth;  // JSON; "{}" if absent
    std::string_view path;
    std::string_view backend_id;
    std::string_view secret;
    std::string_view client_address;
};

// Appends the head of the request to the backend, whose connection may carry more of them. An
// upgrade that the client wants is asked for; `Expect: 100-continue` passes on. `rest`: as in
// SplitTarget, byte for byte; the path begins with a slash in any case.
void append_backend_request_head(std::string& out, const RequestHead& head, std::string_view rest,
                                 const VerifiedFields& verified);

enum class Framing {
    none,    // no body: the backend's Content-Length, if any, tells of another response's
    length,  // as the backend's Content-Length says
    chunked,
    until_close,
};

// Appends the head of the response to the client, as the status has it: an interim one (1xx) says
// nothing of framing or connection, and 101 switches to the backend's protocol. `keep_alive`: the
// client, who wants to, may send another request.
void append_client_response_head(std::string& out, const ResponseHead& head, Framing framing,
                                 bool keep_alive, std::string_view backend_id);

// Appends those lines of a trailer section that may pass on: none that frames, routes, identifies
// or tells how to read a message, all of which belong into a head (RFC 9110, 6.5.1).
void append_trailers(std::string& out, const std::vector<Field>& trailers);

// The head of an answer of the proxy's own, to a request that got none from a backend. With the
// CORS fields, so that a page may read why.
std::string own_response_head(int status, std::string_view content_type, std::size_t body_size,
                              bool keep_alive);

}  // namespace jamsock
