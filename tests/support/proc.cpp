#include "tests/support/proc.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/process.h"

namespace jamsock::test {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_in(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::vector<std::string> words;
    for (std::string word; std::getline(stream, word, '\0');)
        words.push_back(word);
    return words;
}

// The NUL-separated words of a /proc file. Where the first thread has ended, another shows them.
std::vector<std::string> words_in(pid_t pid, const char* file) {
    const fs::path directory = fmt::format("/proc/{}", pid);
    std::vector<std::string> words = words_in(directory / file);
    std::error_code gone;
    for (fs::directory_iterator at(directory / "task", gone), end;
         words.empty() && !gone && at != end; at.increment(gone)) {
        words = words_in(at->path() / file);
    }
    return words;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
    return std::ranges::find(words, word) != words.end();
}

template <class Condition>
std::vector<pid_t> running(Condition condition) {
    std::vector<pid_t> pids;
    for (const Process& process : all_processes()) {
        if (is_running(process.pid) && condition(process.pid)) pids.push_back(process.pid);
    }
    return pids;
}

std::vector<pid_t> daemons_of(const std::string& state_directory, bool workers) {
    return running([&](pid_t pid) {
        const auto argv = words_in(pid, "cmdline");
        return !argv.empty() && fs::path(argv.front()).filename() == "jamsockd" &&
               contains(argv, state_directory) && contains(argv, "--worker") == workers;
    });
}

// A line of /proc/<pid>/status that counts kB.
std::size_t memory_in_status(pid_t pid, const std::string& name) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name)) return std::stoull(line.substr(name.size())) * 1024;
    }
    return 0;
}

}  // namespace

std::vector<pid_t> processes_with(const std::string& variable) {
    return running([&](pid_t pid) { return contains(words_in(pid, "environ"), variable); });
}

std::vector<pid_t> processes_naming(const std::string& text) {
    return running([&](pid_t pid) {
        return std::ranges::any_of(words_in(pid, "cmdline"),
                                   [&](const std::string& word) { return word.starts_with(text); });
    });
}

std::vector<pid_t> keepers_of(const std::string& state_directory) {
    return daemons_of(state_directory, false);
}

std::vector<pid_t> workers_of(const std::string& state_directory) {
    return daemons_of(state_directory, true);
}

std::vector<Process> shims_of(const std::string& state_directory) {
    std::vector<Process> shims;
    for (const Process& process : all_processes()) {
        const auto argv = words_in(process.pid, "cmdline");
        if (argv.size() == 2 && argv[0] == "jamsock-shim" &&
            (fs::exists(state_directory + "/backends/" + argv[1]) ||
             fs::exists(state_directory + "/history/" + argv[1]))) {
            shims.push_back(process);
        }
    }
    return shims;
}

std::vector<std::string> environment_of(pid_t pid) {
    auto words = words_in(pid, "environ");
    std::ranges::sort(words);
    return words;
}

Descriptors descriptors_of(pid_t pid) {
    Descriptors found;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
        std::error_code closed;
        const std::string target = fs::read_symlink(entry, closed).string();
        if (!closed) found.emplace(std::stoi(entry.path().filename()), target);
    }
    return found;
}

std::size_t resident_memory(pid_t pid) {
    return memory_in_status(pid, "VmRSS:");
}

std::size_t peak_memory(pid_t pid) {
    return memory_in_status(pid, "VmHWM:");
}

pid_t parent_of(pid_t pid) {
    const auto process = read_process(pid);
    return process ? process->parent : 0;
}

}  // namespace jamsock::test
