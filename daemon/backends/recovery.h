// What recovery makes of what it finds (DESIGN, Recovery): of directories, of a shim's record, and
// of backends that the database or a lock file names and no living directory does. Reads files and
// /proc: for a thread that may wait for them.
#pragma once

#include <optional>
#include <vector>

#include "common/backend_state.h"
#include "daemon/backends/backend_files.h"
#include "daemon/backends/cgroups.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

// All that live directories say. Moves to the history what was never started, and what is a copy of
// another state directory's: its processes are left alone. DaemonUnavailable if they can't be read.
Result<std::vector<BackendFiles::Found>> read_live(const BackendFiles& files,
                                                   const Cgroups& cgroups);

// How a backend ended: from its directory in the history, to which one moves when the proof is
// there that nothing of it lives; with `tree_empty` then. One of another state directory, of which
// this is a copy, is at its end here, too, whatever becomes of its processes. Nothing if neither
// is so: it must be searched for.
std::optional<ShimRecord> known_end(const BackendFiles& files, const BackendRecord& record);

// Whom the lock file of a key names as its last holder, as far as the file says who that was;
// nothing where its end is known, or it held the key by another lock file, of which this one is a
// copy.
std::optional<BackendRecord> unaccounted_holder(const BackendFiles& files,
                                                const std::string& lock_name);

// The main process, as far as it is named: its pid and start time.
std::optional<Process> main_in(const ShimRecord& record);

// The shim that a record names, if it lives; else 0.
pid_t living_shim(const std::optional<ShimRecord>& record);
// Kills it. Whether it still is not gone.
bool kill_shim(const std::optional<ShimRecord>& record);

// What follows `last` when the shim is gone.
StatusChange lost(const StatusChange& last);

}  // namespace jamsock
