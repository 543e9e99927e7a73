// What WebSockets cost while nothing flows, and once they are gone.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/support/proxies.h"

namespace jamsock::bench {

struct IdleSockets {
    // Resident memory of the proxy over what it had before, a socket; nothing if it failed or is
    // not installed.
    std::vector<double> open_kib = {};
    std::vector<double> closed_kib = {};
    std::string failure = {};
};

// Opens `count` sockets, each of which echoes one message, and closes them.
IdleSockets measure_idle_sockets(const Way& way, int count);

}  // namespace jamsock::bench
