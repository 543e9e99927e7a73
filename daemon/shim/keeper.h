// The keeper: the small process above the worker (DESIGN section 1). It holds daemon.lock and the
// listening sockets, starts the worker again when that crashes, reaps what shims leave behind, and
// execs a new jamsockd in place. Called by jamsockd's main; single-threaded; libc only.
#pragma once

#include <string>
#include <vector>

namespace jamsock {

// What a worker inherits beside the standard streams; everything else is closed. After a restart in
// place the new jamsockd finds its keeper's descriptors at the same numbers, without close-on-exec
// (`ready` is never among them).
namespace worker_fd {
inline constexpr int daemon_lock = 3;
inline constexpr int api_socket = 4;
inline constexpr int proxy_socket = 5;
inline constexpr int shim_program = 6;
inline constexpr int proxy_socket_ipv6 = 7;
inline constexpr int api_tcp = 8;
inline constexpr int api_tcp_ipv6 = 9;
inline constexpr int ready = 10;
}  // namespace worker_fd

// How a worker ends on purpose; every other end is a crash.
namespace worker_exit {
inline constexpr int stopped = 0;
inline constexpr int refused = 78;  // it can't run here, and starting it again would not help
inline constexpr int passing = 75;  // … for want of descriptors or memory: started again as a crash
}  // namespace worker_exit

struct KeeperPlan {
    // Owned by the caller, open, close-on-exec, with any numbers; -1: not passed on.
    int daemon_lock = -1;
    int api_socket = -1;
    int proxy_socket = -1;
    int shim_program = -1;
    int proxy_socket_ipv6 = -1;
    int api_tcp = -1;
    int api_tcp_ipv6 = -1;
    int log_directory = -1;  // has the file behind stderr (LogFile); -1: it is no file of ours
    int ready = -1;          // for the first worker only; taken over and closed by the keeper

    std::vector<std::string> worker_argv;
    std::vector<std::string> restart_argv;  // restart_argv[0]: the jamsockd to exec on SIGHUP
    // The running binary itself, so that a replaced package never mixes versions.
    std::string worker_program = "/proc/self/exe";
};

// Runs workers until told to stop by SIGTERM or SIGINT, or until one ends on purpose. Returns
// main's exit code. SIGHUP means a restart in place, after which it does not return if the exec
// succeeds; to a keeper that was started in a terminal, from others than the command line, it means
// the terminal's end, and so its own (but under nohup). Logs its decisions on
// stderr.
int run_keeper(const KeeperPlan& plan);

}  // namespace jamsock
