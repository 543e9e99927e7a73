// Who listens on a port (DESIGN, Files at run time): a backend is ready only if the listening
// socket belongs to its own process tree. Reads /proc: for the helper thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace jamsock {

enum class PortOwner {
    nobody,    // no socket listens where 127.0.0.1:port leads
    tree,      // a process below `root` listens there
    stranger,  // somebody else does
};

PortOwner port_owner(std::uint16_t port, pid_t root);

}  // namespace jamsock
