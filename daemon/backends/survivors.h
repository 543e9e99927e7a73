// The search for what a dead shim's backend left behind (DESIGN, The tree is gone). Reads /proc:
// for the helper thread.
#pragma once

#include <vector>

#include "daemon/backends/ownership.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

// The processes that must end before the key may be given again. Zombies are left out: they hold
// nothing.
struct Survivors {
    std::vector<Process> processes;  // proven to be the backend's
    std::vector<Process> unproven;   // not to be killed by us, but the key isn't free beside them
    // Else there may be more: this process could not look, or what may be the backend's ended while
    // it was looked at, and may have forked before. Only a whole look that finds none is a proof.
    bool is_whole = false;

    bool is_none() const { return is_whole && processes.empty() && unproven.empty(); }
};
Survivors find_survivors(const SurvivorQuery& query);

// Kills what find_survivors proves to be the backend's, and gives what that was: at first only what
// is found without a look into each process, which takes longer than some that fork live; then each
// one as soon as it is found. What is killed may have forked before, so only a call that finds
// nothing is a proof.
Survivors kill_survivors(const SurvivorQuery& query);

}  // namespace jamsock
