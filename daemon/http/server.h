// The HTTP engine: accepts connections on one listening socket, Unix or TCP, and has a service
// answer their requests, one after the other per connection. Checks every head by head_rules before
// anything else looks at it. Knows no business word: what an error looks like is its owner's.
// Lives on one io_context, which a single thread runs; all of it happens on that thread.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/unique_fd.h"
#include "daemon/asio.h"
#include "daemon/http/message.h"
#include "daemon/http/stranger_row.h"

namespace jamsock {

// The request stays alive until the task has ended.
using Service = std::function<Task<Response>(const Request&)>;

// How many connections there are, of one server or of several on the same thread.
struct ConnectionCount {
    std::size_t open = 0;
    Event left;  // one has ended
};

struct ServerOptions {
    // The answer to a request that never reaches the service. Required.
    std::function<Response(int status, std::string sentence)> refuse;
    Peer peer = Peer::same_user;
    // Asked with the head of a request that has a body, before that is taken: the answer, if it may
    // not pass. Its connection ends with it. Empty: all pass.
    std::function<std::optional<Response>(const Request& head)> turns_away = {};
    // Whether to serve this new connection; empty: all.
    std::function<bool(int fd)> accept_filter = {};
    // The answer to a request whose service threw, which is a bug; where one has begun, as of a
    // stream, this one goes nowhere. Empty: as `refuse` has it.
    std::function<Response(const Request& request, const std::string& what)> on_exception = {};
    // Whether a client that has ended its sending is gone, and not only half-closed; asked of TCP
    // connections again and again. Empty: it waits for its answer.
    std::function<bool(int fd)> is_gone = {};
    std::size_t body_limit = 1 << 20;
    // How many bytes at least the body lacks that came as long as its Content-Length says, where a
    // client is known to declare too few. They are read as well, then it is asked again; such a
    // connection ends with the answer. Empty: none ever.
    std::function<std::size_t(const Request& so_far)> missing_bytes = {};
    // Who connects while there are so many waits, and none stays after its answer.
    std::size_t most_connections = std::numeric_limits<std::size_t>::max();
    // Who has shown what of `is_known` needs no stranger's place. Of the others, as of whoever has
    // sent no request yet, there are no more than `strangers` has places for. Empty: all are known.
    std::function<bool(const Request& head)> is_known = {};
    std::shared_ptr<StrangerRow> strangers = {};
    // Shared by the servers whose connections count together.
    std::shared_ptr<ConnectionCount> connections = std::make_shared<ConnectionCount>();
};

class Server {
  public:
    // `listening` is bound and listening already.
    Server(asio::io_context& loop, UniqueFd listening, Service service, ServerOptions options);
    ~Server();

    void start();

    // No new connections; idle ones are closed at once, the others after the answer they are at
    // (with `Connection: close`). A client asks again as soon as its stream has ended: so this
    // comes first, that it has no connection left on which it would be cut off.
    void begin_stop();
    // Begins it if it has not begun, and waits for its end: timeouts::server_stop after its begin
    // all connections are closed whatever they do. What waits inside the service must be ended by
    // its owner.
    Task<> stop();

  private:
    struct State;  // outlives the server in its connections
    std::shared_ptr<State> state_;
};

}  // namespace jamsock
