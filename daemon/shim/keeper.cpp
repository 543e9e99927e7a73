#include "daemon/shim/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "common/timeouts.h"
#include "common/unique_fd.h"
#include "daemon/shim/descriptors.h"
#include "daemon/shim/log_file.h"

namespace jamsock {

namespace {

using Milliseconds = long long;
constexpr Milliseconds first_backoff = 50;
constexpr Milliseconds last_backoff = 2000;
constexpr Milliseconds proven_life = 10'000;  // a worker that lived so long resets the backoff
constexpr int exec_failed = 127;

constexpr int first_beyond_worker = worker_fd::ready + 1;

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

bool is_command_line(pid_t pid) {
    if (pid <= 0) return false;
    char path[32];
    char target[PATH_MAX];
    ::snprintf(path, sizeof path, "/proc/%d/exe", static_cast<int>(pid));
    const ssize_t length = ::readlink(path, target, sizeof target);
    if (length <= 0) return false;
    const std::string_view program(target, static_cast<std::size_t>(length));
    return program.substr(program.rfind('/') + 1).starts_with("jamsock");
}

// The keeper's descriptors and the numbers at which its workers, and its successor, find them.
class Inheritance {
  public:
    // Copies beyond all the numbers to fill, so that filling one overwrites none of them.
    explicit Inheritance(const KeeperPlan& plan) {
        hold(worker_fd::daemon_lock, plan.daemon_lock);
        hold(worker_fd::api_socket, plan.api_socket);
        hold(worker_fd::proxy_socket, plan.proxy_socket);
        hold(worker_fd::shim_program, plan.shim_program);
        hold(worker_fd::proxy_socket_ipv6, plan.proxy_socket_ipv6);
        hold(worker_fd::api_tcp, plan.api_tcp);
        hold(worker_fd::api_tcp_ipv6, plan.api_tcp_ipv6);
    }

    // In a new worker: these and `ready` (-1: none) and nothing else beyond the standard streams.
    void place_in_child(int ready) const {
        for (const Held& held : held_) {
            if (::dup2(held.copy.get(), held.number) < 0) ::close(held.number);
        }
        if (ready < 0 || ::dup2(ready, worker_fd::ready) < 0) ::close(worker_fd::ready);
        close_all_but({worker_fd::daemon_lock, worker_fd::api_socket, worker_fd::proxy_socket,
                       worker_fd::shim_program, worker_fd::proxy_socket_ipv6, worker_fd::api_tcp,
                       worker_fd::api_tcp_ipv6, worker_fd::ready});
    }

    // Runs `argv` in place of this process. Returns, with errno, only if that fails, and then
    // nothing has changed: the caller of the keeper has descriptors of its own at these numbers.
    void exec(const std::vector<std::string>& argv) const {
        ::close_range(worker_fd::daemon_lock, ~0U, CLOSE_RANGE_CLOEXEC);
        std::array<UniqueFd, count> displaced;
        for (std::size_t i = 0; i < count; ++i) {
            displaced[i].reset(::fcntl(held_[i].number, F_DUPFD_CLOEXEC, first_beyond_worker));
            if (held_[i].copy) ::dup2(held_[i].copy.get(), held_[i].number);
        }
        ::execv(argv.front().c_str(), pointers_to(argv).data());
        const int error = errno;
        for (std::size_t i = 0; i < count; ++i) {
            if (displaced[i]) {
                ::dup3(displaced[i].get(), held_[i].number, O_CLOEXEC);
            } else {
                ::close(held_[i].number);
            }
        }
        errno = error;
    }

  private:
    static constexpr std::size_t count = 7;
    struct Held {
        int number = -1;
        UniqueFd copy;  // empty: not passed on
    };

    void hold(int number, int fd) {
        Held& held = held_[static_cast<std::size_t>(number - worker_fd::daemon_lock)];
        held.number = number;
        if (fd >= 0) held.copy.reset(::fcntl(fd, F_DUPFD_CLOEXEC, first_beyond_worker));
    }

    std::array<Held, count> held_;
};

class Keeper {
  public:
    explicit Keeper(const KeeperPlan& plan)
        : plan_(plan),
          inheritance_(plan),
          log_(plan.log_directory, STDERR_FILENO),
          ready_(plan.ready < 0 ? -1 : ::fcntl(plan.ready, F_DUPFD_CLOEXEC, first_beyond_worker)),
          worker_argv_(pointers_to(plan.worker_argv)) {
        if (plan.ready >= 0) ::close(plan.ready);
        ::signal(SIGPIPE, SIG_IGN);  // nobody need read the log
        struct sigaction before {};
        ::sigaction(SIGHUP, nullptr, &before);
        is_hangup_ignored_ = before.sa_handler == SIG_IGN;
        has_terminal_ = UniqueFd(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)).get() >= 0;
        const UniqueFd low = take_signals({SIGCHLD, SIGTERM, SIGINT, SIGHUP});
        signals_.reset(::fcntl(low.get(), F_DUPFD_CLOEXEC, first_beyond_worker));
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }

    int run() {
        if (!signals_) {  // deaf, it could never be ended
            note("the limit on open files is too low");
            return EXIT_FAILURE;
        }
        start_worker();
        while (!exit_code_) {
            wait_for_signal(worker_ == 0 ? start_at_ : no_limit);
            handle_signals();
            if (restart_asked_ && !exit_code_) restart();
            if (worker_ == 0 && !exit_code_ && boottime_milliseconds() >= start_at_) start_worker();
        }
        if (worker_ != 0) stop_worker();
        // Who connects from here on is refused, not left in the backlog of a process that ends.
        ::shutdown(plan_.api_socket, SHUT_RDWR);
        return *exit_code_;
    }

  private:
    static constexpr Milliseconds no_limit = -1;

    // A line of the log.
    [[gnu::format(printf, 2, 3)]] void note(const char* format, ...) const {
        char text[1024];
        va_list values;
        va_start(values, format);
        ::vsnprintf(text, sizeof text, format, values);
        va_end(values);
        if (worker_ == 0) {
            log_.make_room(sizeof text);
        } else {
            log_.follow();
        }
        ::fprintf(stderr, "keeper: %s\n", text);
    }

    void wait_for_signal(Milliseconds until) {
        const Milliseconds left = std::max(0LL, until - boottime_milliseconds());
        wait_for_input(std::array{signals_.get()}, until == no_limit ? no_limit : left);
    }

    void handle_signals() {
        pid_t sender = 0;
        while (const int signal = next_signal(signals_.get(), &sender)) {
            if (signal == SIGCHLD) reap();
            if (signal == SIGTERM || signal == SIGINT) exit_code_ = EXIT_SUCCESS;
            if (signal == SIGHUP) hung_up(sender);
        }
    }

    // To a daemon that was started in a terminal, HUP also says that the terminal is gone: from the
    // kernel, or from a shell that passes it on. The command line means a restart by it, as
    // everybody does who sends it to a daemon without a terminal.
    void hung_up(pid_t sender) {
        if (!has_terminal_ || is_command_line(sender)) {
            restart_asked_ = true;
        } else if (!is_hangup_ignored_) {  // nohup
            exit_code_ = EXIT_SUCCESS;
        }
    }

    // Beside the worker these are shims of dead workers, and what dead shims left behind.
    void reap() {
        int status = 0;
        while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
            if (pid < 0) return;
            if (pid == worker_) worker_ended(status);
        }
    }

    void worker_ended(int status) {
        const pid_t pid = std::exchange(worker_, 0);
        const bool exited = WIFEXITED(status);
        const int number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
        if (stopping_) return;
        if (exited && (number == worker_exit::stopped || number == worker_exit::refused)) {
            note("worker %d ended with code %d; so does the keeper", pid, number);
            exit_code_ = number;
            return;
        }
        char what[64];
        ::snprintf(what, sizeof what, "worker %d %s %d", pid,
                   exited ? "exited with code" : "was killed by signal", number);
        start_again(what);
    }

    void start_again(const char* what) {
        const Milliseconds now = boottime_milliseconds();
        if (now - started_at_ >= proven_life) backoff_ = 0;
        start_at_ = now + backoff_;
        char when[32] = "";
        if (backoff_ > 0) ::snprintf(when, sizeof when, " in %lld ms", backoff_);
        note("%s; starting it again%s", what, when);
        backoff_ = backoff_ == 0 ? first_backoff : std::min(2 * backoff_, last_backoff);
    }

    void start_worker() {
        started_at_ = boottime_milliseconds();
        const pid_t keeper = ::getpid();
        const pid_t pid = ::fork();
        if (pid == 0) become_worker(keeper);
        if (pid > 0) {
            worker_ = pid;
            ready_.reset();
            return;
        }
        start_again("a worker can't be forked");
    }

    [[noreturn]] void become_worker(pid_t keeper) const {
        die_with_parent(keeper);
        inheritance_.place_in_child(ready_.get());
        reset_signals();
        ::execv(plan_.worker_program.c_str(), worker_argv_.data());
        ::fprintf(stderr, "keeper: can't run %s: %s\n", plan_.worker_program.c_str(),
                  ::strerror(errno));
        ::_exit(exec_failed);
    }

    void stop_worker() {
        stopping_ = true;
        if (worker_ != 0) ::kill(worker_, SIGTERM);
        const Milliseconds limit =
            boottime_milliseconds() + std::chrono::milliseconds(timeouts::worker_stop).count();
        while (worker_ != 0 && boottime_milliseconds() < limit) {
            wait_for_signal(limit);
            handle_signals();
        }
        if (worker_ != 0) {
            note("worker %d does not stop; killing it", worker_);
            ::kill(worker_, SIGKILL);
            ::waitpid(worker_, nullptr, 0);
            worker_ = 0;
        }
        stopping_ = false;
    }

    void restart() {
        restart_asked_ = false;
        const std::string& program = plan_.restart_argv.front();
        note("restarting as %s", program.c_str());
        stop_worker();
        if (exit_code_) return;  // told to stop meanwhile
        if (is_hangup_ignored_) ::signal(SIGHUP, SIG_IGN);
        inheritance_.exec(plan_.restart_argv);
        note("can't run %s: %s; starting the old worker again", program.c_str(), ::strerror(errno));
        start_worker();
    }

    const KeeperPlan& plan_;
    const Inheritance inheritance_;
    const LogFile log_;
    UniqueFd ready_;
    std::vector<char*> worker_argv_;  // built here: nothing may allocate between fork and exec
    UniqueFd signals_;

    pid_t worker_ = 0;  // 0: none now
    Milliseconds started_at_ = 0;
    Milliseconds start_at_ = 0;
    Milliseconds backoff_ = 0;  // before the next start
    bool stopping_ = false;
    bool restart_asked_ = false;
    bool has_terminal_ = false;
    bool is_hangup_ignored_ = false;
    std::optional<int> exit_code_;
};

}  // namespace

int run_keeper(const KeeperPlan& plan) {
    return Keeper(plan).run();
}

}  // namespace jamsock
