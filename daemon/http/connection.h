// One accepted connection, Unix or TCP: its socket, the input read ahead of its use, and the one
// deadline that closes it. And the loop that accepts them. Used by the API's server, on the single
// thread of its io_context.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "common/unique_fd.h"
#include "daemon/asio.h"
#include "daemon/http/head_rules.h"

namespace jamsock {

using StreamSocket = asio::generic::stream_protocol::socket;

// Bytes that came and are not used up yet.
class InputBuffer {
  public:
    static constexpr std::size_t piece = 16 * 1024;  // the most that one read adds

    std::string_view text() const {
        return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
    }
    void add(std::string_view bytes);
    void consume(std::size_t size) { buffer_.consume(size); }
    // Everything, with its memory.
    void release() {
        buffer_.consume(buffer_.size());
        buffer_.shrink_to_fit();
    }

  private:
    boost::beast::flat_buffer buffer_;
};

// Owned by shared_ptr, since its timer must know whether it still lives.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    explicit Connection(StreamSocket socket);

    StreamSocket& socket() { return socket_; }
    InputBuffer& input() { return input_; }

    // Closes the connection at that time, which ends whatever waits for it. `never` takes it back.
    void set_deadline(Deadline deadline);

    // The next request's head; the first one has a deadline from the beginning on. Its views
    // are into the input: the caller consumes it. Nothing: the client is gone, or was idle or slow
    // for too long.
    Task<std::optional<tl::expected<RequestHead, HeadFault>>> read_head();

    // Reads once, to the end of the input. False: no more will come. Who sends nothing costs no
    // buffer.
    Task<bool> read_more();
    // False: the client is gone.
    Task<bool> write(std::span<const asio::const_buffer> pieces);
    Task<bool> write(std::string_view text);

    // Ends a connection whose client may still be sending: it gets to read the last answer, where a
    // plain close would have the kernel throw that away (RFC 9112, 9.6).
    Task<> linger();
    void close();

  private:
    void arm();
    void on_timer();

    StreamSocket socket_;
    InputBuffer input_;
    asio::steady_timer timer_;
    Deadline deadline_ = never;
    Deadline armed_until_ = never;
    bool had_head_ = false;
};

// Accepts for as long as `listening` is open. Before each one it awaits `room`: who connects
// meanwhile waits, as while no descriptor is left. New sockets are close-on-exec; those that
// `filter` refuses are closed.
Task<> accept_connections(asio::posix::stream_descriptor& listening,
                          const std::function<Task<>()>& room,
                          const std::function<bool(int fd)>& filter,
                          const std::function<void(std::shared_ptr<Connection>)>& serve);

}  // namespace jamsock
