// The shim's end of the channel: at first the socket that the worker left it, later whoever
// connected last to `shim.sock` in the backend's directory. Nothing here ever blocks, and a message
// that can't be sent is dropped: the record is the truth. libc only.
#pragma once

#include <optional>

#include "common/unique_fd.h"
#include "daemon/shim/message.h"

namespace jamsock {

class DaemonLink {
  public:
    explicit DaemonLink(UniqueFd inherited) : connection_(std::move(inherited)) {}

    // Makes `shim.sock`; false, with errno, if it can't. Connections wait until they are accepted.
    bool listen(int backend_directory);
    // Removes it.
    void stop_listening();

    // To wait on; -1 if there is none.
    int listener() const { return listener_.get(); }
    int connection() const { return connection_.get(); }

    enum class Accepted { none, connected, failed };
    // The new connection takes the place of the old one, which is closed. Only our own user's
    // count.
    Accepted accept();

    // The next message. Nothing if there is none now, or it was malformed, or the other end is
    // gone, which also closes the connection.
    std::optional<Message> receive();

    void send(const Message& message);

  private:
    UniqueFd connection_;
    UniqueFd listener_;
    int directory_ = -1;  // not owned
};

}  // namespace jamsock
