// Spawns a backend's shim with its channel, specification and directories in hand (DESIGN, Start).
// Blocks: for the helper thread.
#pragma once

#include <sys/types.h>

#include "common/result.h"
#include "common/unique_fd.h"
#include "daemon/shim/spec.h"

namespace jamsock {

struct SpawnedShim {
    pid_t pid = 0;
    UniqueFd channel;  // SOCK_SEQPACKET, non-blocking
};

// `shim_program` is the binary opened when the daemon started, so an upgrade never mixes versions.
// `listener`: the socket that the specification may have; else -1.
Result<SpawnedShim> spawn_shim(int shim_program, const ShimSpec& spec, int backend_directory,
                               int locks_directory, int listener);

}  // namespace jamsock
