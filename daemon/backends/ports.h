// Picks a backend's TCP port: outside the kernel's ephemeral range, so that no outgoing connection
// (nor a probe connecting to itself) can hold it, at random and bind-tested; and listens on it for
// a backend that takes its socket. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock {

// A socket that listens on 127.0.0.1:port, blocking as systemd hands them over.
struct ListeningSocket {
    UniqueFd fd;    // empty: it can't be made
    int error = 0;  // then: errno
};
ListeningSocket listen_on(std::uint16_t port);

// Whether a backend could listen there now, on 127.0.0.1 and on [::1].
bool is_free(std::uint16_t port);

class Ports {
  public:
    Ports();

    // A port that nobody has now, and that no recent call gave; nothing if none is free. Which one
    // it is nobody can tell before its backend listens: who knew could listen first.
    std::optional<std::uint16_t> pick();

  private:
    std::vector<std::uint16_t> ring_;  // from `next_` on by when each was last given
    std::size_t next_ = 0;
};

}  // namespace jamsock
