// Picks a backend's TCP port: outside the kernel's ephemeral range, so that no outgoing connection
// (nor a probe connecting to itself) can hold it, and bind-tested; and listens on it for a backend
// that takes its socket. Any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "common/unique_fd.h"

namespace jamsock {

// A socket that listens on 127.0.0.1:port, blocking as systemd hands them over.
struct ListeningSocket {
    UniqueFd fd;    // empty: it can't be made
    int error = 0;  // then: errno
};
ListeningSocket listen_on(std::uint16_t port);

class Ports {
  public:
    Ports();

    // A port that nobody listens on now and that no recent call was given; nothing if none is free.
    std::optional<std::uint16_t> pick();

  private:
    std::uint16_t first_;
    std::uint16_t last_;
    std::uint16_t next_;
};

}  // namespace jamsock
