// Descriptors and signals around fork and exec: what shim and keeper both need. libc only, and safe
// in the child of a fork: nothing here allocates.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <initializer_list>
#include <span>

#include "common/unique_fd.h"

namespace jamsock {

// Opens /dev/null on those of 0, 1 and 2 that are closed, so that no later descriptor is taken for
// a standard stream.
void fill_standard_streams();

// Closes all from 3 on but `kept` (ascending).
void close_all_but(std::initializer_list<int> kept);

// Which of `fds` (up to 32; -1: none) can be read, as bits, after a wait of up to `limit`
// milliseconds (-1: for ever) for one that can. By select, since poll takes no more of them than
// RLIMIT_NOFILE, which any process of our user may lower (prlimit). Where it can't be waited, all
// count as readable, a moment later: whoever then reads them must not block.
unsigned wait_for_input(std::span<const int> fds, long long limit = -1);

// Ignores what would end or stop this process without being a fault of its own: any process of our
// user may send it. Not SIGKILL, SIGSTOP and `kept`.
void ignore_signals_but(std::initializer_list<int> kept);

// Gives every signal its default effect and unblocks all: an ignored or blocked one would outlive
// exec.
void reset_signals();

// Blocks `signals` and returns a descriptor (non-blocking, close-on-exec) to take them from.
UniqueFd take_signals(std::initializer_list<int> signals);

// The next signal that came; 0 if none is left. `sender`, if given, is the process that sent it; 0:
// the kernel did.
int next_signal(int signal_fd, pid_t* sender = nullptr);

// Ends this process (a fork's child) when `parent` dies, at once if it is dead already.
void die_with_parent(pid_t parent);

// Milliseconds since boot, time asleep included (CLOCK_BOOTTIME): what all the timers here run on.
long long boottime_milliseconds();

}  // namespace jamsock
