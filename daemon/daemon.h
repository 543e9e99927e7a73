// The worker: everything of the daemon but the keeper. `run` is its table of contents: it builds
// the parts in order, recovers, serves until a signal, and stops them in reverse.
#pragma once

#include <string>

#include "common/result.h"
#include "common/unique_fd.h"

namespace jamsock {

struct WorkerInputs {
    std::string state_directory;
    std::string config_file;  // need not exist
    UniqueFd api_socket;      // listening
    UniqueFd proxy_socket;    // listening
    UniqueFd shim_program;
    UniqueFd daemon_lock;
    UniqueFd proxy_socket_ipv6;  // listening on [::1], on the same port; empty: there is none
    UniqueFd api_tcp;            // listening on 127.0.0.1
    UniqueFd api_tcp_ipv6;       // as for the proxy
    bool dev = false;            // the API also takes the token "-"
};

// Serves until SIGTERM or SIGINT. `ready`, if there is one, is told "ready\n" once requests are
// served, and closed. Fails if the state can't be used: then nothing was changed.
Result<> run_worker(WorkerInputs inputs, UniqueFd& ready);

}  // namespace jamsock
