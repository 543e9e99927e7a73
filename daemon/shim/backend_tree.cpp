#include "daemon/shim/backend_tree.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "daemon/shim/process_table.h"

namespace jamsock {

namespace {

constexpr int most_looks = 8;  // per call, at a tree that goes on forking

}  // namespace

void signal_group(pid_t main, bool main_is_reaped, int signal) {
    if (!main_is_reaped) {
        ::kill(-main, signal);
        return;
    }
    for (const Process& process : descendants(all_processes(), ::getpid())) {
        if (process.group == main && process.session == main) signal_process(process, signal);
    }
}

void terminate_outside_group(pid_t main) {
    for (const Process& process : descendants(all_processes(), ::getpid())) {
        if (process.group == main || process.pid == main) continue;
        for (const int signal : {SIGTERM, SIGCONT})
            signal_process(process, signal);
    }
}

bool kill_descendants() {
    std::size_t last_count = 0;
    for (int look = 0; look < most_looks; ++look) {
        std::size_t count = 0;
        errno = 0;
        const ProcessLook seen = look_at_processes();
        if (seen.processes.empty() || (!seen.is_whole && is_blindness(errno))) return false;
        for (const Process& process : descendants(seen.processes, ::getpid())) {
            if (process.is_zombie()) continue;
            errno = 0;
            if (signal_process(process, SIGKILL)) {
                ++count;
            } else if (is_blindness(errno)) {
                return false;
            }
        }
        if (count <= last_count) return true;
        last_count = count;
    }
    return true;
}

}  // namespace jamsock
