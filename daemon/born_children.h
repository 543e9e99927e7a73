// The children that a keeper has before its first worker: `sh -c 'sleep 99 & exec jamsock daemon
// run'` leaves it the sleep. The keeper is a subreaper, and its other orphans are its shims'.
#pragma once

#include <vector>

#include "daemon/shim/process_table.h"

namespace jamsock {

// In a keeper before its first worker. Remembered in its environment, which workers inherit and a
// keeper that is exec'ed in its place.
void remember_born_children();

// In a worker: pid and start time of each.
std::vector<Process> born_children();

}  // namespace jamsock
