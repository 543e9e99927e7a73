#include "daemon/shim/process_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "common/unique_fd.h"

// glibc before 2.37 declares these without C linkage for C++.
extern "C" {
#include <sys/pidfd.h>
}

namespace jamsock {

namespace {

constexpr int most_looks = 100;             // at a machine on which processes end all the time
constexpr std::size_t largest_stat = 1024;  // 52 numbers and a name of at most 64 bytes

template <class Number>
bool read_number(std::string_view text, Number& number) {
    const char* end = text.data() + text.size();
    const auto [stop, failed] = std::from_chars(text.data(), end, number);
    return failed == std::errc{} && stop == end;
}

std::string_view next_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(word.size());
    return word;
}

// proc(5) numbers the fields of stat from 1; the third is the first after the name.
bool read_fields(std::string_view after_name, Process& process) {
    constexpr int state = 3, parent = 4, group = 5, session = 6, flags = 9, threads = 20,
                  start_time = 22;
    constexpr unsigned exiting = 0x4;  // PF_EXITING of the kernel's sched.h
    unsigned flag_bits = 0;
    bool good = true;
    for (int field = state; field <= start_time; ++field) {
        const std::string_view word = next_word(after_name);
        if (word.empty()) return false;
        if (field == state) process.state = word.front();
        if (field == parent) good = good && read_number(word, process.parent);
        if (field == group) good = good && read_number(word, process.group);
        if (field == session) good = good && read_number(word, process.session);
        if (field == flags) good = good && read_number(word, flag_bits);
        if (field == threads) good = good && read_number(word, process.threads);
        if (field == start_time) good = good && read_number(word, process.start_time);
    }
    process.is_exiting = flag_bits & exiting;
    return good;
}

// The process or thread with this directory in /proc.
std::optional<Process> read_stat_in(const std::string& directory) {
    const UniqueFd file(::open((directory + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    char text[largest_stat];
    const ssize_t length = ::read(file.get(), text, sizeof text);
    if (length == 0) errno = ESRCH;
    if (length <= 0) return std::nullopt;
    return parse_process_stat(std::string_view(text, static_cast<std::size_t>(length)));
}

// The numbers among a directory's names, ascending; nothing if it can't be read.
std::optional<std::vector<pid_t>> numbers_in(const char* path) {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path), ::closedir);
    if (!directory) return std::nullopt;
    while (const dirent* entry = ::readdir(directory.get())) {
        pid_t pid = 0;
        if (read_number(std::string_view(entry->d_name), pid)) pids.push_back(pid);
    }
    std::ranges::sort(pids);
    return pids;
}

}  // namespace

std::optional<Process> parse_process_stat(std::string_view stat) {
    const std::size_t open = stat.find(" (");
    const std::size_t close = stat.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
        return std::nullopt;
    }
    Process process;
    if (!read_number(stat.substr(0, open), process.pid)) return std::nullopt;
    if (!read_fields(stat.substr(close + 1), process)) return std::nullopt;
    return process;
}

std::optional<Process> read_process(pid_t pid) {
    return read_stat_in("/proc/" + std::to_string(pid));
}

std::string process_directory(pid_t pid) {
    std::string directory = "/proc/" + std::to_string(pid);
    const auto process = read_stat_in(directory);
    if (!process || process->state != 'Z' || process->is_zombie()) return directory;
    const std::string threads = directory + "/task";
    for (const pid_t thread : numbers_in(threads.c_str()).value_or(std::vector<pid_t>{})) {
        const std::string runs = threads + "/" + std::to_string(thread);
        const auto shown = read_stat_in(runs);
        if (shown && shown->state != 'Z' && shown->state != 'X') return runs;
    }
    return directory;
}

// FNV-1a, 64 bits.
std::uint64_t cgroup_hash(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/cgroup";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t hash = 0xcbf29ce484222325;
    char text[1024];
    ssize_t length = file ? 0 : -1;
    bool is_empty = true;
    while (file && (length = ::read(file.get(), text, sizeof text)) > 0) {
        is_empty = false;
        for (const char byte : std::string_view(text, static_cast<std::size_t>(length)))
            hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    return length < 0 || is_empty ? 0 : hash;
}

// Looks again at who is new as long as somebody ended between being listed and being read: a child
// of it may not have been listed.
ProcessLook look_at_processes(const std::function<void(const Process&)>& on_seen) {
    ProcessLook look;
    std::vector<pid_t> before;
    for (int i = 0; i < most_looks && !look.is_whole; ++i) {
        const auto listed = numbers_in("/proc");
        if (!listed) return look;
        bool nobody_left = true;
        for (const pid_t pid : *listed) {
            if (std::ranges::binary_search(before, pid)) continue;
            const auto process = read_process(pid);
            if (!process && is_blindness(errno)) return look;
            if (process) {
                look.processes.push_back(*process);
                if (on_seen) on_seen(*process);
            }
            if (!process || process->is_zombie()) nobody_left = false;
        }
        look.is_whole = nobody_left;
        before = *listed;
    }
    return look;
}

std::vector<Process> all_processes() {
    return look_at_processes().processes;
}

bool is_blindness(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

std::vector<Process> descendants(const std::vector<Process>& all, pid_t root) {
    std::vector<Process> by_parent = all;
    std::ranges::sort(by_parent, {}, &Process::parent);
    std::vector<Process> found;
    const auto add_children = [&](pid_t parent) {
        const auto children = std::ranges::equal_range(by_parent, parent, {}, &Process::parent);
        for (const Process& child : children) {
            // A snapshot isn't of one instant: a number used again could close a circle.
            if (child.pid != root) found.push_back(child);
        }
    };
    add_children(root);
    for (std::size_t next = 0; next < found.size(); ++next)
        add_children(found[next].pid);
    return found;
}

pid_t newest_pid() {
    const UniqueFd file(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC));
    char text[128];
    const ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    if (length <= 0) return 0;
    std::string_view line(text, static_cast<std::size_t>(length));
    line.remove_suffix(line.ends_with('\n') ? 1 : 0);
    pid_t pid = 0;
    return read_number(line.substr(line.rfind(' ') + 1), pid) ? pid : 0;
}

bool signal_process(const Process& process, int signal) {
    const UniqueFd pidfd(::pidfd_open(process.pid, 0));
    if (!pidfd) return false;
    // Checked after the pidfd is held: from here on the number can't be another's.
    const auto now = read_process(process.pid);
    if (!now || now->start_time != process.start_time) return false;
    return ::pidfd_send_signal(pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace jamsock
