// Sets up what a daemon holds for its whole life, and keeps a worker running on it (DESIGN, The
// processes): the state directory's lock, the listening sockets, the shim's binary.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace jamsock {

struct DaemonOptions {
    std::string state_directory;
    std::optional<std::uint16_t> proxy_port;  // the wanted one; 0: any free one
    std::optional<std::uint16_t> api_port;    // … of the API over TCP
    bool dev = false;                         // takes the token "-", whatever the settings say
    std::string config_file;                  // read by each worker as it starts
    bool log_to_file = false;                 // jamsockd.log in place of standard error
    int ready_fd =
        -1;  // told "ready\n" once requests are served, or the last words of a failed start
    bool taken_over = false;  // lock and sockets are in hand, from the keeper that exec'ed this one
    bool as_worker = false;   // started by a keeper
};

// Runs the keeper; gives the exit code. Fails before a first worker runs if another daemon
// has the state directory, or the directory or a socket can't be used.
Result<int> keep(DaemonOptions options);

}  // namespace jamsock
