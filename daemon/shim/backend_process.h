// The birth of a backend's main process: fork, and in the child everything that must hold before
// the exec (DESIGN, Start; CONTRACT section 4). libc only.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/unique_fd.h"
#include "daemon/shim/spec.h"

namespace jamsock {

struct ForkedBackend {
    pid_t pid = 0;
    UniqueFd exec_report;  // non-blocking; see read_exec_report
};

// What a backend's process gets, beside /dev/null as stdin. Not owned.
struct BackendDescriptors {
    int output = -1;    // stdout and stderr
    int lock = -1;      // unless -1, a copy of it at a high number: the key stays locked as long as
                        // any of the backend lives
    int listener = -1;  // unless -1, as descriptor 3, with LISTEN_FDS and LISTEN_PID
};

// Runs spec.argv. The child leads a session of its own, dies with this process, and has exactly
// those files. Nothing if the fork fails (errno).
std::optional<ForkedBackend> fork_backend(const ShimSpec& spec, const BackendDescriptors& files);

struct ExecReport {
    enum class State { pending, running, failed };
    enum class Step { exec, chdir, cgroup };
    State state = State::pending;
    Step step = Step::exec;  // failed: the step that did
    int error = 0;           // failed: errno
};

// What became of the exec. The child itself then exits with the shell's code for it: 127 if there
// is no such file, 126 otherwise.
ExecReport read_exec_report(int exec_report);

}  // namespace jamsock
