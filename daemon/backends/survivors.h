// The search for what a dead shim's backend left behind (DESIGN, The tree is gone). Reads /proc:
// for the helper thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/backends/key_lock.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

struct SurvivorQuery {
    pid_t keeper = 0;          // 0: no keeper is our parent
    pid_t worker = 0;          // 0: none
    std::vector<pid_t> shims;  // all that live and are known

    // Of the one backend whose shim is gone:
    std::optional<Process> main;  // its main process, whose pid is also its session's
    std::optional<key_lock::Inode> lock;
    std::string mark;  // JAMSOCK_MARK's value
};

// The processes that must end before the key may be given again: all below the keeper that is
// neither worker nor known shim nor below one, and, for the case that keeper and shim both died,
// all of the backend's session, holding its lock, or with its mark in their environment, and what
// is below those. Zombies are left out: they hold nothing.
struct Survivors {
    std::vector<Process> processes;
    bool is_whole = false;  // else there may be more: only a whole look that finds none is a proof
};
Survivors find_survivors(const SurvivorQuery& query);

// Kills what find_survivors finds, and tells what that was: at first only what is found without a
// look into each process, which takes longer than some that fork live. What is killed may have
// forked before, so only a call that finds nothing is a proof.
Survivors kill_survivors(const SurvivorQuery& query);

}  // namespace jamsock
