#include "daemon/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

#include "common/timeouts.h"
#include "daemon/shim/descriptors.h"
#include "daemon/shim/process_table.h"
#include "daemon/shim/spec.h"
#include "daemon/shim/supervision.h"

namespace jamsock {

namespace {

constexpr const char* process_name = "jamsock-shim";
constexpr int lock_retry_pause_milliseconds = 5;

constexpr int ended = EXIT_SUCCESS;
constexpr int could_not_start = EXIT_FAILURE;

UniqueFd adopt(int fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return UniqueFd(fd);
}

void become_a_shim() {
    ::close(shim_fd::program);
    fill_standard_streams();
    ignore_signals_but({SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP});
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, process_name);
    // A shim must not keep a file system busy.
    if (::chdir("/") != 0) return;
}

std::optional<ShimSpec> read_spec() {
    const UniqueFd file = adopt(shim_fd::spec);
    std::string bytes;
    char buffer[4096];
    off_t offset = 0;
    for (;;) {
        const ssize_t length = ::pread(file.get(), buffer, sizeof buffer, offset);
        if (length < 0) return std::nullopt;
        if (length == 0) break;
        bytes.append(buffer, static_cast<std::size_t>(length));
        offset += length;
    }
    errno = EINVAL;
    return ShimSpec::decode(bytes);
}

// The first half of a shim's life: everything up to the fork. Each step says whether to go on; the
// one that says no has told the daemon why.
class Start {
  public:
    explicit Start(const ShimOptions& options)
        : options_(options),
          backend_directory_(adopt(shim_fd::backend_directory)),
          locks_directory_(adopt(shim_fd::locks_directory)),
          link_(adopt(shim_fd::channel)),
          log_(backend_directory_.get()),
          signals_(take_signals({SIGCHLD, SIGTERM})) {}

    int run() {
        if (!begin_record() || !take_lock() || !open_files())
            return nothing_started(could_not_start);
        link_.send(Message("locked"));
        if (!wait_for_go()) return nothing_started(ended);
        return supervise();
    }

  private:
    bool failed(const char* what, int error) {
        Message message("failed");
        link_.send(message.add("what", what).add("errno", static_cast<std::int64_t>(error)));
        return false;
    }

    bool begin_record() {
        auto spec = read_spec();
        if (!spec) return failed("read specification", errno);
        spec_ = std::move(*spec);
        if (spec_.has_listener) listener_ = adopt(shim_fd::listener);
        record_ = RecordWriter::create(backend_directory_.get());
        if (!record_) return failed("make record", errno);
        if (const auto self = read_process(::getpid())) start_time_ = self->start_time;
        if (record_->begun(current_boot_id(), ::getpid(), start_time_, cgroup_hash(::getpid())))
            return true;
        return failed("write record", errno);
    }

    bool take_lock() {
        lock_.emplace(locks_directory_.get(), spec_.lock_name);
        const long long give_up =
            boottime_milliseconds() + std::chrono::milliseconds(timeouts::lock_retry).count();
        for (;;) {
            const LockAttempt attempt =
                lock_->try_take({spec_.fencing_token, spec_.backend_id, spec_.mark});
            const bool busy = attempt.outcome == LockAttempt::Outcome::busy;
            if (!busy || boottime_milliseconds() >= give_up) return tell(attempt);
            if (!daemon_stays(lock_retry_pause_milliseconds)) return false;
        }
    }

    bool tell(const LockAttempt& attempt) {
        using Outcome = LockAttempt::Outcome;
        if (attempt.outcome == Outcome::taken) return true;
        if (attempt.outcome == Outcome::failed) return failed(attempt.what, attempt.error);
        Message message(attempt.outcome == Outcome::busy ? "busy" : "stale");
        if (attempt.outcome == Outcome::busy) message.add("holder", attempt.holder);
        link_.send(message.add("token", attempt.token));
        return false;
    }

    // Waits; false as soon as the daemon's end of the channel is closed, or somebody says TERM.
    bool daemon_stays(int milliseconds) {
        // It says nothing before `locked`: what there is to read is the end of file.
        return wait_for_input(std::array{link_.connection(), signals_.get()}, milliseconds) == 0;
    }

    bool open_files() {
        if (!link_.listen(backend_directory_.get())) return failed("make shim.sock", errno);
        if (!log_.open()) return failed("open output.log", errno);
        if (!notify_.open()) return failed("make the socket for READY=1", errno);
        timer_.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
        if (!timer_) return failed("make a timer", errno);
        watch_lock();
        // Looked at after the watch began: what happens from now on is seen.
        if (!lock_->is_in_place()) return failed("lock file replaced", ESTALE);
        return true;
    }

    // Users have few inotify instances (128 by default): without one the lock is looked at by
    // timer.
    void watch_lock() {
        lock_watch_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
        if (!lock_watch_) return;
        const auto what = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
        if (::inotify_add_watch(lock_watch_.get(), lock_->path().c_str(), what) < 0) {
            lock_watch_.reset();
        }
    }

    // No time limit: the end of file is enough.
    bool wait_for_go() {
        for (;;) {
            wait_for_input(std::array{link_.connection(), signals_.get()});
            if (next_signal(signals_.get()) != 0) return false;
            const auto message = link_.receive();
            if (message) return message->verb() == "go";
            if (link_.connection() < 0) return false;
        }
    }

    int supervise() {
        auto backend = fork_now();
        if (!backend) {
            failed("fork", errno);
            return nothing_started(could_not_start);
        }
        Supervision(Prepared{.backend_id = spec_.backend_id,
                             .fencing_token = spec_.fencing_token,
                             .grace_milliseconds = spec_.grace_milliseconds,
                             .shim_start_time = start_time_,
                             .lifetime_end = spec_.lifetime_end,
                             .program_runs_by = program_runs_by(),
                             .record = std::move(*record_),
                             .lock = std::move(*lock_),
                             .link = std::move(link_),
                             .log = std::move(log_),
                             .signals = std::move(signals_),
                             .timer = std::move(timer_),
                             .lock_watch = std::move(lock_watch_),
                             .notify = std::move(notify_),
                             .ready_command = std::move(ready_command_)},
                    std::move(*backend))
            .run();
        return ended;
    }

    // The specification goes with the fork: only a command that shows readiness needs the
    // environment for longer.
    std::optional<ForkedBackend> fork_now() {
        UniqueFd output = log_.take_writer();
        set_own_variables();
        const BackendDescriptors descriptors{
            .output = output.get(),
            .lock = options_.backend_inherits_lock ? lock_->fd() : -1,
            .listener = listener_.get()};
        auto backend = fork_backend(spec_, descriptors);
        if (!spec_.ready_exec.empty()) {
            ready_command_ = ReadyCommand(spec_, descriptors, std::move(output));
        }
        listener_.reset();
        spec_.env = {};
        spec_.argv = {};
        return backend;
    }

    // Last, so that nothing else can stand for them.
    void set_own_variables() {
        std::erase_if(spec_.env, [](const std::string& variable) {
            return variable.starts_with("NOTIFY_SOCKET=") || variable.starts_with("LISTEN_FDS=") ||
                   variable.starts_with("LISTEN_PID=") || variable.starts_with("LISTEN_FDNAMES=");
        });
        spec_.env.push_back("NOTIFY_SOCKET=" + notify_.name());
    }

    std::int64_t program_runs_by() const {
        if (spec_.startup_milliseconds == 0) return DueTimes::never;
        return boottime_milliseconds() + spec_.startup_milliseconds;
    }

    int nothing_started(int code) {
        link_.stop_listening();
        if (record_) record_->tree_empty();
        return code;
    }

    ShimOptions options_;
    UniqueFd backend_directory_;
    UniqueFd locks_directory_;
    DaemonLink link_;
    OutputLog log_;
    UniqueFd signals_;
    UniqueFd timer_;
    UniqueFd lock_watch_;
    NotifySocket notify_;
    ReadyCommand ready_command_;
    UniqueFd listener_;
    ShimSpec spec_;
    std::uint64_t start_time_ = 0;
    std::optional<RecordWriter> record_;
    std::optional<LockHolder> lock_;
};

}  // namespace

int run_shim(const ShimOptions& options) {
    become_a_shim();
    return Start(options).run();
}

}  // namespace jamsock
