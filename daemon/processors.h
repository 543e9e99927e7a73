// How many threads can run at once. Any thread.
#pragma once

#include <sched.h>

namespace jamsock {

// The processors that the calling thread may run on: those of its affinity, which a unit, a
// container or `taskset` may have made fewer than the machine has. At least 1.
inline unsigned usable_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    // Fails only where the machine has more processors than the set has room for.
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return CPU_SETSIZE;
    return static_cast<unsigned>(CPU_COUNT(&set));
}

}  // namespace jamsock
