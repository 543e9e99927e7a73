// Whose a process is, as far as one look at all processes shows it (DESIGN, The tree is gone).
// Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/backends/key_lock.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

// A backend whose shim is gone, and those of its daemon that it is not to be mistaken for.
struct SurvivorQuery {
    pid_t keeper = 0;                // 0: no keeper is our parent
    pid_t worker = 0;                // 0: none
    std::vector<pid_t> shims;        // all that live and are known
    std::vector<Process> innocents;  // children that the keeper was born with; pid and start time
    uid_t uid = 0;                   // the daemon's user

    std::optional<Process> main;  // its main process, whose pid is also its session's
    std::optional<key_lock::Inode> lock;
    std::string mark;           // JAMSOCK_MARK's value
    std::uint64_t started = 0;  // nothing of it started before; clock ticks since boot
    std::uint64_t cgroup = 0;   // cgroup_hash of all of it; 0: not known
};

// What a look into a process showed.
enum class Evidence {
    marked,  // it holds the backend's lock, or has its mark in the environment
    clean,   // neither, and it still lived when both had been looked for
    hidden,  // it may not be looked into (ptrace(2), Ptrace access mode checking)
    gone,    // it ended, or had begun to, before both had been looked for
};

struct LookedAt {
    Process process;
    uid_t uid = 0;
    Evidence evidence = Evidence::clean;
    std::uint64_t cgroup = 0;  // of hidden ones; 0: not known
};

enum class Whose {
    backend,  // proven: marked, of its session, an orphan of its shim, or below one of these
    another,  // proven, or clean
    unknown,  // it may be the backend's
};

// Pid and start time of those that are the daemon's own, or another backend's: the worker, the
// known shims, the innocents, and all below them.
using Known = std::unordered_map<pid_t, std::uint64_t>;
Known known_among(const std::vector<Process>& all, const SurvivorQuery& query);

// One verdict for each of `all`, which must be a whole look. The proof that a hidden or vanished
// process is another's, without a look into it: it started before the backend, is another user's,
// is in another cgroup, or in a session whose leader is another's (only the leader's own tree can
// be in it), or its parent started after the backend and is another's (so it is no reaper that the
// backend's orphans came to).
std::vector<Whose> judge(const std::vector<LookedAt>& all, const Known& known,
                         const SurvivorQuery& query);

}  // namespace jamsock
