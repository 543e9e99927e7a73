// A request and its response as handlers see them: whole, in memory, without framing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/asio.h"
#include "daemon/caller.h"
#include "daemon/http/ascii.h"

namespace jamsock {

class EventStream;

using Headers = std::vector<std::pair<std::string, std::string>>;

// The value of the first header called `name`, in any letter case; null if there is none.
inline const std::string* find_header(const Headers& headers, std::string_view name) {
    for (const auto& [header, value] : headers) {
        if (equal_ignoring_case(header, name)) return &value;
    }
    return nullptr;
}

// Who may be at the other end of a connection.
enum class Peer {
    same_user,  // the kernel says so, of a Unix socket
    anyone,     // TCP
};

struct Request {
    std::string method;
    std::string path;   // as it came, still percent-encoded; up to the first '?'
    std::string query;  // after it
    Headers headers;
    std::string body;
    Peer peer = Peer::same_user;
    Caller* caller = nullptr;  // lives until the answer is sent; null: nobody who may leave

    const std::string* header(std::string_view name) const { return find_header(headers, name); }
};

struct Response {
    int status = 200;
    std::string body;
    // Without the framing (Content-Length, Connection), which the server writes. A response with a
    // body and no Content-Type is `application/json`.
    Headers headers = {};
    // In place of a body: sends events for as long as it likes; the connection ends with it.
    std::function<Task<>(EventStream&)> events = {};
};

}  // namespace jamsock
