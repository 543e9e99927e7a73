// Spawns a backend's shim with its channel, specification and directories in hand (DESIGN, Start).
#pragma once

#include <sys/types.h>

#include "common/result.h"
#include "common/unique_fd.h"
#include "daemon/backends/backends.h"
#include "daemon/shim/spec.h"

namespace jamsock {

// What a shim is told for a backend. `descriptor_limit`: RLIMIT_NOFILE to start with. `cgroup`: the
// directory of its cgroup, if it needs one.
ShimSpec shim_spec(const BackendRecord& record, const StartSettings& settings,
                   std::int64_t descriptor_limit, const std::string& cgroup);

struct SpawnedShim {
    pid_t pid = 0;
    UniqueFd channel;  // SOCK_SEQPACKET, non-blocking
};

// Blocks: for the helper thread. `shim_program` is the binary opened when the daemon started, so an
// upgrade never mixes versions. `listener`: the socket that the specification may have; else -1.
Result<SpawnedShim> spawn_shim(int shim_program, const ShimSpec& spec, int backend_directory,
                               int locks_directory, int listener);

}  // namespace jamsock
