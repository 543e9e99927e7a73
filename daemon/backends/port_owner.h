// Who listens on which port (DESIGN, Files at run time): a backend is ready only if the listening
// socket belongs to its own process tree. Reads /proc: for the helper thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/backends/named_process.h"
#include "daemon/known_listener.h"

namespace jamsock {

enum class PortOwner {
    nobody,    // no socket listens where the port leads
    tree,      // a process below `root` listens there
    stranger,  // somebody else does
};

// Where a port of this machine leads: to who listens on 127.0.0.1; to who listens on [::1] where
// nobody does.
struct PortPlace {
    PortOwner owner = PortOwner::nobody;
    bool is_ipv6 = false;  // [::1] it is
    std::optional<KnownListener> listener = {};
};

PortPlace port_place(std::uint16_t port, pid_t root);

// A listening TCP socket.
struct Listener {
    std::string address;  // "127.0.0.1", "0.0.0.0", "::1"
    std::uint16_t port = 0;
    friend bool operator==(const Listener&, const Listener&) = default;
};

// How a backend that isn't ready stands to its port.
struct PortReport {
    PortOwner owner = PortOwner::nobody;
    std::optional<NamedProcess> stranger;  // that owns the port; empty also where it can't be told
    std::vector<Listener> listeners;       // of the processes below `root`, by port, then address
};

PortReport report_on_port(std::uint16_t port, pid_t root);

}  // namespace jamsock
