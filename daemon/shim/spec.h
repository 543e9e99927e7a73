// What the worker leaves a new shim with: a few descriptors, and what to run under which lock.
// Pure; libc only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

// The descriptors beside the standard streams; everything else is closed.
namespace shim_fd {
inline constexpr int channel = 3;
inline constexpr int spec = 4;
inline constexpr int backend_directory = 5;
inline constexpr int locks_directory = 6;
inline constexpr int program = 7;   // the shim's own binary, closed at once
inline constexpr int listener = 8;  // only if the specification says so
}  // namespace shim_fd

// In a memfd at shim_fd::spec, so that the environment never touches the disk.
struct ShimSpec {
    std::string backend_id;
    std::string lock_name;  // file name in locks/
    std::int64_t fencing_token = 0;
    std::string mark;               // for the lock's file; the environment has it as well
    std::vector<std::string> argv;  // argv[0] absolute
    std::vector<std::string> env;   // "NAME=value", complete
    std::string cwd;
    // For an ending that nobody gave a grace for, such as a main process that exits before its
    // children.
    std::int64_t grace_milliseconds = 10000;
    std::int64_t ready_try_milliseconds = 10000;  // then a try of `ready_exec` is killed
    std::string ready_exec;     // for sh: tried until it exits with 0; empty: none
    bool has_listener = false;  // the backend gets shim_fd::listener as descriptor 3 (LISTEN_FDS)
    std::int64_t lifetime_end = 0;          // of CLOCK_BOOTTIME in milliseconds; 0: none
    std::int64_t startup_milliseconds = 0;  // from `go` until the program runs; 0: no limit
    std::int64_t descriptor_limit = 0;      // the backend's soft RLIMIT_NOFILE; 0: the shim's own
    std::int64_t cpu_seconds = 0;           // its RLIMIT_CPU; 0: the shim's own
    std::string cgroup;  // the directory of the one that it joins; empty: the shim's

    std::string encode() const;
    // Nothing if it is malformed or lacks what a start needs.
    static std::optional<ShimSpec> decode(std::string_view bytes);
};

}  // namespace jamsock
