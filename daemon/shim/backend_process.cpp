#include "daemon/shim/backend_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/shim/descriptors.h"

namespace jamsock {

namespace {

constexpr mode_t usual_umask = 022;
constexpr int not_found = 127;
constexpr int not_executable = 126;

// After the soft limit's SIGXCPU, until SIGKILL.
constexpr rlim_t cpu_margin_seconds = 2;

using Step = ExecReport::Step;

struct Failure {
    Step step = Step::exec;
    int error = 0;
};

// High, so that no program that counts on its own descriptors' low numbers meets it, and none that
// scripts like to use (9, 99 and 200 are flock(1)'s); lower where the limit on open files is small.
int copy_of_lock(int lock) {
    for (const int number : {987, 487, 243, 117, 57, 27, 13}) {
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

void limit_cpu_time(std::int64_t seconds) {
    rlimit limit{};
    if (seconds <= 0 || ::getrlimit(RLIMIT_CPU, &limit) != 0) return;
    limit.rlim_max = std::min(static_cast<rlim_t>(seconds) + cpu_margin_seconds, limit.rlim_max);
    limit.rlim_cur = std::min(static_cast<rlim_t>(seconds), limit.rlim_max);
    ::setrlimit(RLIMIT_CPU, &limit);
}

// "0" is whoever writes it (Documentation/admin-guide/cgroup-v2, cgroup.procs).
bool join_cgroup(const char* processes_file) {
    const int file = ::open(processes_file, O_WRONLY | O_CLOEXEC);
    return file >= 0 && ::write(file, "0", 1) == 1;
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

constexpr int first_passed = 3;  // SD_LISTEN_FDS_START

// "LISTEN_PID=<this process>", written between fork and exec: no memory may be allocated there.
class ListenPid {
  public:
    char* entry() { return text_.data(); }

    void set(pid_t pid) {
        std::array<char, 12> digits{};
        std::size_t count = 0;
        for (; pid > 0; pid /= 10)
            digits[count++] = static_cast<char>('0' + pid % 10);
        char* next = text_.data() + name.size();
        while (count > 0)
            *next++ = digits[--count];
    }

  private:
    static constexpr std::string_view name = "LISTEN_PID=";
    std::array<char, 32> text_{'L', 'I', 'S', 'T', 'E', 'N', '_', 'P', 'I', 'D', '='};
};

class Child {
  public:
    Child(const ShimSpec& spec, const BackendDescriptors& descriptors, int report)
        : spec_(spec),
          argv_(pointers_to(spec.argv)),
          env_(pointers_to(spec.env)),
          cgroup_processes_(spec.cgroup.empty() ? "" : spec.cgroup + "/cgroup.procs"),
          descriptors_(descriptors),
          report_(report) {
        if (descriptors.listener < 0) return;
        env_.back() = const_cast<char*>("LISTEN_FDS=1");
        env_.push_back(listen_pid_.entry());
        env_.push_back(nullptr);
    }

    [[noreturn]] void run(pid_t shim) {
        ::setsid();
        ::umask(usual_umask);  // the daemon's is for its own files
        die_with_parent(shim);
        set_descriptors();
        if (!cgroup_processes_.empty() && !join_cgroup(cgroup_processes_.c_str())) {
            give_up(report_, {.step = Step::cgroup, .error = errno});
        }
        limit_descriptors(spec_.descriptor_limit);
        limit_cpu_time(spec_.cpu_seconds);
        reset_signals();
        if (::chdir(spec_.cwd.c_str()) != 0) {
            give_up(report_, {.step = Step::chdir, .error = errno});
        }
        ::execve(spec_.argv.front().c_str(), argv_.data(), env_.data());
        give_up(report_, {.error = errno});
    }

  private:
    void set_descriptors() {
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::dup2(null, STDIN_FILENO);
        ::dup2(descriptors_.output, STDOUT_FILENO);
        ::dup2(descriptors_.output, STDERR_FILENO);
        const int lock = descriptors_.lock < 0 ? report_ : copy_of_lock(descriptors_.lock);
        // Without the lock in its hands the backend would break the promise if the shim died.
        if (lock < 0) give_up(report_, {.error = errno});
        if (descriptors_.listener >= 0) set_listener();
        const int listener = descriptors_.listener < 0 ? STDERR_FILENO : first_passed;
        close_all_but({listener, std::min(lock, report_), std::max(lock, report_)});
    }

    // The report may have the number that the listener needs.
    void set_listener() {
        const int report = ::fcntl(report_, F_DUPFD_CLOEXEC, first_passed + 1);
        const int listener = ::fcntl(descriptors_.listener, F_DUPFD_CLOEXEC, first_passed + 1);
        if (report < 0 || listener < 0) give_up(report_, {.error = errno});
        report_ = report;
        ::dup2(listener, first_passed);
        listen_pid_.set(::getpid());
    }

    const ShimSpec& spec_;
    std::vector<char*> argv_;
    std::vector<char*> env_;
    std::string cgroup_processes_;
    ListenPid listen_pid_;
    BackendDescriptors descriptors_;
    int report_;
};

}  // namespace

std::optional<ForkedBackend> fork_backend(const ShimSpec& spec,
                                          const BackendDescriptors& descriptors) {
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) return std::nullopt;
    UniqueFd reader(report[0]);
    const UniqueFd writer(report[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    Child child(spec, descriptors, writer.get());
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
    return {.state = ExecReport::State::failed, .step = failure.step, .error = failure.error};
}

}  // namespace jamsock
