#include "daemon/shim/process_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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
    constexpr int state = 3, parent = 4, group = 5, session = 6, start_time = 22;
    bool good = true;
    for (int field = state; field <= start_time; ++field) {
        const std::string_view word = next_word(after_name);
        if (word.empty()) return false;
        if (field == state) process.state = word.front();
        if (field == parent) good = good && read_number(word, process.parent);
        if (field == group) good = good && read_number(word, process.group);
        if (field == session) good = good && read_number(word, process.session);
        if (field == start_time) good = good && read_number(word, process.start_time);
    }
    return good;
}

// Ascending; nothing if they can't be read.
std::optional<std::vector<pid_t>> listed_pids() {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
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
    char path[32];
    ::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
    const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    char text[largest_stat];
    const ssize_t length = ::read(file.get(), text, sizeof text);
    if (length == 0) errno = ESRCH;
    if (length <= 0) return std::nullopt;
    return parse_process_stat(std::string_view(text, static_cast<std::size_t>(length)));
}

// Looks again at who is new as long as somebody ended between being listed and being read: a child
// of it may not have been listed.
ProcessLook look_at_processes() {
    ProcessLook look;
    std::vector<pid_t> before;
    for (int i = 0; i < most_looks && !look.is_whole; ++i) {
        const auto listed = listed_pids();
        if (!listed) return look;
        bool nobody_left = true;
        for (const pid_t pid : *listed) {
            if (std::ranges::binary_search(before, pid)) continue;
            const auto process = read_process(pid);
            if (!process && is_blindness(errno)) return look;
            if (process) look.processes.push_back(*process);
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

bool signal_process(const Process& process, int signal) {
    const UniqueFd pidfd(::pidfd_open(process.pid, 0));
    if (!pidfd) return false;
    // Checked after the pidfd is held: from here on the number can't be another's.
    const auto now = read_process(process.pid);
    if (!now || now->start_time != process.start_time) return false;
    return ::pidfd_send_signal(pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace jamsock
