// The command that shows whether a backend is ready: run beside the main process as another child
// of the shim, in a session of its own, again and again until it exits with 0. Its tries belong to
// the backend's tree, and hold the key's lock as that does; how one ends is no end of the backend.
// Single-threaded; libc only.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/unique_fd.h"
#include "daemon/shim/backend_process.h"
#include "daemon/shim/spec.h"

namespace jamsock {

// How a try ended: one of the three is set.
struct ReadyTry {
    std::optional<int> code;
    std::optional<int> signal;
    bool was_too_long = false;  // and so was killed
};

class ReadyCommand {
  public:
    // None: never due.
    ReadyCommand() = default;
    // `spec` and `descriptors` as the backend has them; keeps the environment until `stop`.
    ReadyCommand(const ShimSpec& spec, BackendDescriptors descriptors, UniqueFd output);

    // The first try is due at once. Nothing happens without a command.
    void begin();
    // Kills the try that runs, and makes no other.
    void stop();

    // A try runs, or was killed and some process of its group is still to be reaped.
    bool has_processes() const;

    // When `go_on` is to be called next, in milliseconds of CLOCK_BOOTTIME; 0: not by itself.
    long long due() const { return due_; }
    // Begins a try, or kills the one that lasts too long.
    void go_on();

    // A child was reaped: how the try ended, or nothing if it was no try of ours.
    std::optional<ReadyTry> reaped(pid_t pid, int wait_status);

  private:
    void start_try();
    void kill_try() const;
    void try_again_later();

    ShimSpec spec_;  // argv empty: no command, or not any more
    BackendDescriptors descriptors_;
    UniqueFd output_;
    std::optional<ForkedBackend> running_;
    pid_t killed_group_ = 0;  // by `stop`
    bool was_too_long_ = false;
    long long due_ = 0;
    long long pause_ = 0;
};

}  // namespace jamsock
