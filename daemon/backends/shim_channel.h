// The worker's end of the channel to one shim. Control thread.
#pragma once

#include <optional>

#include "common/unique_fd.h"
#include "daemon/asio.h"
#include "daemon/shim/message.h"

#include <boost/asio/generic/seq_packet_protocol.hpp>

namespace jamsock {

class ShimChannel {
  public:
    ShimChannel(const asio::any_io_executor& executor, UniqueFd connected);

    // Connects to `shim.sock` in a backend's directory.
    struct Reached;
    static Reached connect(const asio::any_io_executor& executor, int backend_directory);

    // The process that made the other end: for a channel from `connect`, the shim.
    pid_t peer() const;

    // The next message; nothing once the shim is gone or after `close`.
    Task<std::optional<Message>> receive();
    // The same, closing the channel when no message came within `limit`.
    Task<std::optional<Message>> receive(std::chrono::nanoseconds limit);

    // Messages are small and few: a full buffer means a stopped shim, which will find what was sent
    // before. False if the message could not be sent.
    bool send(const Message& message);

    void close();

  private:
    asio::generic::seq_packet_protocol::socket socket_;
};

struct ShimChannel::Reached {
    std::optional<ShimChannel> channel;
    bool is_gone = false;  // nobody listens; with neither, it can't be told now: ask again
};

}  // namespace jamsock
