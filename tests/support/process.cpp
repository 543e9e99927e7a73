#include "tests/support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "daemon/shim/process_table.h"
#include "tests/support/sanitized.h"

namespace jamsock::test {

namespace {

struct Pipe {
    UniqueFd read, write;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words)
        list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

// Appends what is there; false at the end.
bool read_some(int fd, std::string& text) {
    std::array<char, 65536> bytes;
    const ssize_t length = ::read(fd, bytes.data(), bytes.size());
    if (length > 0) text.append(bytes.data(), static_cast<std::size_t>(length));
    return length > 0;
}

}  // namespace

Child Child::start(const std::vector<std::string>& argv, const RunOptions& options) {
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    std::vector<std::string> words = argv;
    std::vector<std::string> variables;
    for (const auto& [name, value] : options.environment)
        variables.push_back(name + "=" + value);

    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
    ::posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    Child child;
    const int failed = ::posix_spawn(&child.pid_, words.front().c_str(), &actions, nullptr,
                                     pointers(words).data(), pointers(variables).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed) throw std::runtime_error("can't run " + argv.front());

    child.out_ = std::move(out.read);
    child.err_ = std::move(err.read);
    child.exited_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
    child.deadline_ = std::chrono::steady_clock::now() + slowness * options.limit;
    return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      exited_(std::move(other.exited_)),
      deadline_(other.deadline_) {
}

Child::~Child() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

// Ends with the program, not with its pipes: a process that it left behind may keep those open.
RunResult Child::wait() {
    RunResult result;
    std::array<pollfd, 3> fds{pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0},
                              pollfd{exited_.get(), POLLIN, 0}};
    bool over = false;
    while (!over) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline_ - std::chrono::steady_clock::now());
        if (left.count() <= 0) ::kill(pid_, SIGKILL);
        ::poll(fds.data(), fds.size(), left.count() <= 0 ? 1000 : static_cast<int>(left.count()));
        if (fds[0].revents && !read_some(out_.get(), result.out)) fds[0].fd = -1;
        if (fds[1].revents && !read_some(err_.get(), result.err)) fds[1].fd = -1;
        over =
            fds[2].revents != 0 && (fds[0].revents & POLLIN) == 0 && (fds[1].revents & POLLIN) == 0;
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

RunResult run(const std::vector<std::string>& argv, const RunOptions& options) {
    return Child::start(argv, options).wait();
}

bool is_running(pid_t pid) {
    const auto process = read_process(pid);
    if (!process || !process->is_zombie()) return process.has_value();
    std::error_code gone;
    std::filesystem::directory_iterator threads(fmt::format("/proc/{}/task", pid), gone);
    if (!gone && threads != end(threads)) threads.increment(gone);
    return !gone && threads != end(threads);
}

}  // namespace jamsock::test
