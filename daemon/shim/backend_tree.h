// Signals to a backend's processes, from the shim that is their subreaper. libc only.
#pragma once

#include <sys/types.h>

namespace jamsock {

// To the process group that the main process leads. `main_is_reaped`: its number may be another's
// by now, so the members are looked up among our descendants and signalled one by one.
void signal_group(pid_t main, bool main_is_reaped, int signal);

// SIGTERM, and SIGCONT for those that are stopped, to everything below this process that is in
// another group than the one the main process leads.
void terminate_outside_group(pid_t main);

// SIGKILL to everything below this process, also what is forked meanwhile, as far as it shows up
// within a few looks; the caller repeats until waitpid finds no child. False if it could not look.
bool kill_descendants();

}  // namespace jamsock
