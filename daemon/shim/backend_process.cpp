#include "daemon/shim/backend_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "daemon/shim/descriptors.h"

namespace jamsock {

namespace {

constexpr mode_t usual_umask = 022;
constexpr int not_found = 127;
constexpr int not_executable = 126;

struct Failure {
    int in_chdir = 0;
    int error = 0;
};

// High, so that no program that counts on its own descriptors' low numbers meets it; lower where
// the limit on open files is small.
int copy_of_lock(int lock) {
    for (const int number : {200, 100, 50, 20, 10}) {
        const int copy = ::fcntl(lock, F_DUPFD, number);
        if (copy >= 0) return copy;
    }
    return -1;
}

void limit_descriptors(std::int64_t soft_limit) {
    rlimit limit{};
    if (soft_limit <= 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min(static_cast<rlim_t>(soft_limit), limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Pointers into `words`, as execve takes them. Built before the fork.
std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

[[noreturn]] void give_up(int report, Failure failure) {
    // Nobody can be told of a failure to tell; the exit code remains.
    if (::write(report, &failure, sizeof failure) < 0) ::_exit(not_executable);
    ::_exit(failure.error == ENOENT ? not_found : not_executable);
}

class Child {
  public:
    Child(const ShimSpec& spec, int output, int lock, int report)
        : spec_(spec),
          argv_(pointers_to(spec.argv)),
          env_(pointers_to(spec.env)),
          output_(output),
          lock_(lock),
          report_(report) {}

    [[noreturn]] void run(pid_t shim) const {
        ::setsid();
        ::umask(usual_umask);  // the daemon's is for its own files
        die_with_parent(shim);
        set_descriptors();
        limit_descriptors(spec_.descriptor_limit);
        reset_signals();
        if (::chdir(spec_.cwd.c_str()) != 0) give_up(report_, {.in_chdir = 1, .error = errno});
        ::execve(spec_.argv.front().c_str(), argv_.data(), env_.data());
        give_up(report_, {.error = errno});
    }

  private:
    void set_descriptors() const {
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::dup2(null, STDIN_FILENO);
        ::dup2(output_, STDOUT_FILENO);
        ::dup2(output_, STDERR_FILENO);
        if (lock_ < 0) return close_all_but({report_});
        const int lock = copy_of_lock(lock_);
        // Without the lock in its hands the backend would break the promise if the shim died.
        if (lock < 0) give_up(report_, {.error = errno});
        close_all_but({std::min(lock, report_), std::max(lock, report_)});
    }

    const ShimSpec& spec_;
    std::vector<char*> argv_;
    std::vector<char*> env_;
    int output_;
    int lock_;
    int report_;
};

}  // namespace

std::optional<ForkedBackend> fork_backend(const ShimSpec& spec, int output, int lock) {
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) return std::nullopt;
    UniqueFd reader(report[0]);
    const UniqueFd writer(report[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    const Child child(spec, output, lock, writer.get());
    const pid_t shim = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return std::nullopt;
    if (pid == 0) child.run(shim);
    return ForkedBackend{pid, std::move(reader)};
}

ExecReport read_exec_report(int exec_report) {
    Failure failure;
    const ssize_t length = ::read(exec_report, &failure, sizeof failure);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (length != static_cast<ssize_t>(sizeof failure)) {
        return {.state = ExecReport::State::running};
    }
    return {.state = ExecReport::State::failed,
            .in_chdir = failure.in_chdir != 0,
            .error = failure.error};
}

}  // namespace jamsock
