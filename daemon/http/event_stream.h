// The body of a response that goes on: server-sent events, each sent whole the moment it happens
// (CONTRACT, SSE: one event per write, one `data:` line, nothing else). Made by the server for a
// response that has `events`; lives as long as that call. On the thread of the connection.
#pragma once

#include <memory>
#include <string_view>

#include "daemon/asio.h"
#include "daemon/http/connection.h"

namespace jamsock {

class EventStream {
  public:
    // `is_chunked`: the client speaks HTTP/1.1; else the connection's end is the body's.
    EventStream(std::shared_ptr<Connection> connection, bool is_chunked);

    // Sends `data`, which has no line end, as one event. False: the client is gone, or did not take
    // it within timeouts::response_write.
    Task<bool> send(std::string_view data);

    // Nobody reads any more: the client closed its side. Its connection is closed already.
    bool is_over() const { return !client_->connection->socket().is_open(); }

    // To wait with for the next event: expires when the client is gone.
    asio::steady_timer& presence() { return client_->presence; }

    // The regular end, which a client can tell from a broken connection.
    Task<bool> finish();

  private:
    // Also what watches the connection holds it.
    struct Client {
        std::shared_ptr<Connection> connection;
        asio::steady_timer presence;
    };
    static void watch(const std::shared_ptr<Client>& client);

    std::shared_ptr<Client> client_;
    bool is_chunked_;
};

}  // namespace jamsock
