// Waits that end: every wait of the command line has a deadline.
#pragma once

#include <chrono>
#include <initializer_list>

namespace jamsock {

using Deadline = std::chrono::steady_clock::time_point;

// A deadline that far from now; a year at most.
Deadline deadline_in(std::chrono::duration<double> duration);

// Waits until `fd` has one of the poll(2) `events`, an error or an end; false if the deadline
// passes first.
bool wait_for_event(int fd, short events, Deadline deadline);

// Waits until one of them can be read, or has ended; those below 0 are none. Also returns when a
// signal comes.
void wait_for_any(std::initializer_list<int> fds, Deadline deadline);

}  // namespace jamsock
