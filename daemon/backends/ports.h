// Picks a backend's TCP port: outside the kernel's ephemeral range, so that no outgoing connection
// (nor a probe connecting to itself) can hold it, reserved and bind-tested; and listens on it for a
// backend that takes its socket. Any thread.
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

// A port that is given away. While it is open, no other daemon of this machine, whoever's it is,
// gives the same one: keep it until the backend listens, which all can see.
struct PickedPort {
    std::uint16_t number = 0;
    UniqueFd reservation;
};

class Ports {
  public:
    Ports();  // begins anywhere
    explicit Ports(std::uint16_t first_try);

    // A port that nobody has now and that no recent call was given; nothing if none is free.
    std::optional<PickedPort> pick();

  private:
    std::uint16_t first_;
    std::uint16_t last_;
    std::uint16_t next_;
};

}  // namespace jamsock
