// Picks a backend's TCP port: outside the kernel's ephemeral range, so that no outgoing connection
// (nor a probe connecting to itself) can hold it, and bind-tested. Control thread.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

namespace jamsock {

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
