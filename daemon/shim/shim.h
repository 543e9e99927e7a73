// The life of one jamsock-shim: the parent and subreaper of one backend. It takes the key's
// lock, waits for `go`, runs the backend, keeps its output, ends it, and proves that all of it is
// gone. DESIGN section 2 states what it promises. Single-threaded; libc only.
//
// The channel (message.h), shim → daemon:
//   locked                            the key is held; waits for `go`
//   busy holder= token=               another backend holds the lock
//   stale token=                      the lock has seen that fencing token, which is not below ours
//   failed what= errno=               a system call failed before anything was started
//   started pid= start=               the program runs
//   exec-failed what= errno=          it does not; what=chdir|cgroup|exec
//   ready                             it said READY=1, or its readiness command exited with 0
//   not-ready TRY                     a try of that command ended
//   hello protocol=1 id= token= shim_pid= shim_start= pid= start= state= [kind= reason= cause=]
//         [code=|signal=] [ready=1] [TRY]
//                                     to every connection that comes by `shim.sock`;
//                                     state=locked|running|ending|exited
//   ending kind= reason= cause=       an ending began, or became hard
//   exited code=|signal=              the main process ended
//   gone                              no process of the backend lives; the shim exits
// where TRY is try_code=, try_signal= or try_too_long=1; and daemon → shim:
//   go                                start the program; the end of file before it means: never
//   terminate kind= reason= grace_ms= [cause=]
//                                     end it; kind=soft|hard
//   deadline boottime_ms=             end it softly, as "swept" with the cause "lifetime", at that
//                                     time of CLOCK_BOOTTIME; 0: never
#pragma once

namespace jamsock {

inline constexpr int shim_protocol = 1;

struct ShimOptions {
    // False only in a test build, which proves that the inheritance matters: a backend that
    // outlives a killed shim then no longer holds its key.
    bool backend_inherits_lock = true;
};

// Runs on the descriptors of `shim_fd`. Returns the exit code: 0 when the backend ended or was
// never asked for, 1 when it could not be started.
int run_shim(const ShimOptions& options);

}  // namespace jamsock
