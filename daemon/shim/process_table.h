// The processes of the machine as /proc shows them. A process is never a bare pid: pid and start
// time name it, and a signal is sent only after both were checked against a pidfd. Any thread;
// reading all of /proc takes milliseconds. libc only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

struct Process {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t session = 0;
    std::uint64_t start_time = 0;  // clock ticks since boot
    char state = 0;                // the letter of proc(5)
    pid_t group = 0;
    int threads = 1;          // the first one included, also when it has ended
    bool is_exiting = false;  // it has begun to end, and may have given its memory back

    // It has ended and waits to be reaped. A process whose first thread alone has ended shows the
    // same letter, but runs.
    bool is_zombie() const { return (state == 'Z' || state == 'X') && threads <= 1; }
    bool is_stopped() const { return state == 'T' || state == 't'; }
};

// The text of /proc/<pid>/stat. The second field is the program's name, which may hold spaces,
// parentheses and newlines: the fields after it start at the last ')'.
std::optional<Process> parse_process_stat(std::string_view stat);

// Nothing, with errno, if there is no such process, or it can't be looked at (is_blindness).
std::optional<Process> read_process(pid_t pid);

// Where /proc shows descriptors, environment and memory of the process: "/proc/<pid>", or the
// directory of a thread that runs if the first one has ended, as that one shows nothing any more.
std::string process_directory(pid_t pid);

// Stands for the text of /proc/<pid>/cgroup, which tells a process's place in all hierarchies. 0 if
// that can't be read.
std::uint64_t cgroup_hash(pid_t pid);

// No snapshot, but whatever forks a child and ends is seen, or its child is: unless process numbers
// start again from the lowest meanwhile.
struct ProcessLook {
    std::vector<Process> processes;
    bool is_whole = false;  // else there may be more: no descriptor was left, or all kept moving
};
// Each process is given to `on_seen` as soon as it was read.
ProcessLook look_at_processes(const std::function<void(const Process&)>& on_seen = {});

// Those of a look, whole or not.
std::vector<Process> all_processes();

// Whether `error` (an errno) says nothing of what was asked for, but that this process could not
// look: it has run out of descriptors or memory.
bool is_blindness(int error);

// All below `root`, zombies included, `root` left out.
std::vector<Process> descendants(const std::vector<Process>& all, pid_t root);

// The newest process's number (proc(5), loadavg), which need not live any more; 0 if unknown.
pid_t newest_pid();

// False if the process is gone or may not be signalled. A zombie takes a signal without effect.
bool signal_process(const Process& process, int signal);

}  // namespace jamsock
