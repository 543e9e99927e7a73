// The sentences for what holds a key or a backend's end up, with the processes that do. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/error.h"
#include "daemon/backends/named_process.h"

namespace jamsock {

// SpawnFailed. `holder`: the backend named in the lock file, empty if none is; `has_ended`: its end
// is known, so a process outside of its tree was given the descriptor. `processes` hold the lock,
// as far as they can be seen.
Error explain_busy_lock(const std::string& holder, bool has_ended,
                        const std::vector<NamedProcess>& processes);

// For a backend whose shim is stopped by a signal or a debugger: it holds the key, and does
// nothing.
std::string note_on_stopped_shim(pid_t shim);

// For a backend that is being killed: what of it is left.
std::string note_on_left_processes(const std::vector<NamedProcess>& left);

// For a backend of which these may be left: they can't be proven to be another's, and aren't
// killed.
std::string note_on_unproven_processes(const std::vector<NamedProcess>& unproven);

}  // namespace jamsock
