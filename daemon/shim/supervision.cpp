#include "daemon/shim/supervision.h"

#include <errno.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/shim/backend_tree.h"
#include "daemon/shim/descriptors.h"
#include "daemon/shim/process_table.h"
#include "daemon/shim/shim.h"

namespace jamsock {

namespace {

// What SIGKILL doesn't end at once is either forking or stuck in the kernel: looked at again soon,
// then less and less often.
constexpr long long first_kill_pause = 10;
constexpr long long last_kill_pause = 1000;
constexpr long long lock_check_pause = 5000;
constexpr long long unwatched_lock_pause = 2000;  // … where there is no inotify
constexpr long long lost_lock_pause = 200;        // … until somebody else's lock is believed
constexpr long long accept_pause = 1000;
constexpr long long longest_blindness = 3000;
constexpr int most_requests_at_once = 64;
constexpr long long longest_grace = 24 * 60 * 60 * 1000;

constexpr const char* soft = "soft";
constexpr const char* hard = "hard";

std::int64_t microseconds(const timeval& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_usec;
}

void add_exit(Message& message, const ShimRecord::MainExited& exited) {
    if (exited.code) message.add("code", static_cast<std::int64_t>(*exited.code));
    if (exited.signal) message.add("signal", static_cast<std::int64_t>(*exited.signal));
}

const char* word(ExecReport::Step step) {
    switch (step) {
        case ExecReport::Step::chdir:
            return "chdir";
        case ExecReport::Step::cgroup:
            return "cgroup";
        default:
            return "exec";
    }
}

void add_ending(Message& message, const ShimRecord::Ending& ending) {
    message.add("kind", ending.kind).add("reason", ending.reason).add("cause", ending.cause);
}

void add_try(Message& message, const ReadyTry& ended) {
    if (ended.code) message.add("try_code", std::int64_t{*ended.code});
    if (ended.signal) message.add("try_signal", std::int64_t{*ended.signal});
    if (ended.was_too_long) message.add("try_too_long", std::int64_t{1});
}

}  // namespace

Supervision::Supervision(Prepared prepared, ForkedBackend backend)
    : own_(std::move(prepared)),
      main_pid_(backend.pid),
      exec_report_(std::move(backend.exec_report)) {
    // Not reaped yet, so the number is surely its own.
    if (const auto process = read_process(main_pid_)) main_start_time_ = process->start_time;
    own_.record.started({main_pid_, main_start_time_});
    due_.set(Due::lifetime_end, own_.lifetime_end);
    due_.set(Due::program_runs, own_.program_runs_by);
}

void Supervision::run() {
    check_lock();
    while (!finished_)
        wait_and_handle();
}

void Supervision::wait_and_handle() {
    arm_timer();
    using Handler = void (Supervision::*)();
    static constexpr std::array<Handler, 8> handlers{
        &Supervision::on_exec_report,  &Supervision::on_signals,    &Supervision::on_output,
        &Supervision::on_request,      &Supervision::on_connection, &Supervision::on_lock_event,
        &Supervision::on_notification, &Supervision::on_timer};
    const int listener = due_.is_set(Due::accept) ? -1 : own_.link.listener();
    const std::array<int, handlers.size()> descriptors{
        exec_report_.get(), own_.signals.get(),    own_.log.reader(), own_.link.connection(),
        listener,           own_.lock_watch.get(), own_.notify.fd(),  own_.timer.get()};
    const unsigned readable = wait_for_input(descriptors);
    for (std::size_t i = 0; i < handlers.size() && !finished_; ++i) {
        if (readable >> i & 1) (this->*handlers[i])();
    }
}

void Supervision::arm_timer() {
    const Milliseconds due = DueTimes::earlier(due_.next(), own_.ready_command.due());
    if (due == armed_) return;
    itimerspec setting{};  // zero disarms
    setting.it_value.tv_sec = due / 1000;
    setting.it_value.tv_nsec = due % 1000 * 1'000'000;
    ::timerfd_settime(own_.timer.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
    armed_ = due;
}

void Supervision::on_timer() {
    std::uint64_t expirations;
    if (::read(own_.timer.get(), &expirations, sizeof expirations) < 0) return;
    armed_ = never;
    const Milliseconds now = boottime_milliseconds();
    due_.take(Due::accept, now);
    if (due_.take(Due::lifetime_end, now)) {
        begin_ending({soft, "swept", "lifetime"}, own_.grace_milliseconds);
    }
    if (due_.take(Due::program_runs, now)) begin_ending({hard, "startuptimeout"}, 0);
    if (due_.take(Due::grace_end, now)) begin_ending({hard, ending_->reason, ending_->cause}, 0);
    if (due_.take(Due::next_kill, now)) kill_everything();
    const Milliseconds next_try = own_.ready_command.due();
    if (next_try != never && next_try <= now) own_.ready_command.go_on();
    if (due_.take(Due::lock_check, now)) check_lock();
}

void Supervision::on_signals() {
    bool children_changed = false;
    while (const int signal = next_signal(own_.signals.get())) {
        if (signal == SIGCHLD) children_changed = true;
        if (signal == SIGTERM) begin_ending({soft, "external"}, own_.grace_milliseconds);
    }
    if (children_changed) reap();
}

void Supervision::on_exec_report() {
    if (!exec_report_) return;
    const ExecReport report = read_exec_report(exec_report_.get());
    if (report.state == ExecReport::State::pending) return;
    exec_report_.reset();
    due_.set(Due::program_runs, never);
    if (report.state == ExecReport::State::running) {
        Message started("started");
        started.add("pid", static_cast<std::int64_t>(main_pid_))
            .add("start", static_cast<std::int64_t>(main_start_time_));
        own_.link.send(started);
        if (!ending_ && !is_ready_) own_.ready_command.begin();
        return;
    }
    Message failed("exec-failed");
    failed.add("what", word(report.step)).add("errno", static_cast<std::int64_t>(report.error));
    own_.link.send(failed);
}

void Supervision::on_output() {
    own_.log.copy();
    record_losses();
}

void Supervision::record_losses() {
    const std::uint64_t dropped = own_.log.dropped_bytes();
    if (std::exchange(recorded_losses_, dropped) != dropped) own_.record.log_dropped(dropped);
}

// ECHILD is the proof that the tree is empty: we are the subreaper of all that the backend forked.
void Supervision::reap() {
    for (;;) {
        int status = 0;
        rusage usage{};
        const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
        if (pid < 0 && errno == ECHILD) return tree_is_empty();
        if (pid <= 0) break;
        if (pid == main_pid_ && !main_exited_) {
            main_ended(status, usage);
        } else if (const auto tried = own_.ready_command.reaped(pid, status)) {
            try_ended(*tried);
        }
    }
    // A try that was killed with the main process's end leaves nothing to wait for.
    if (main_exited_ && !ending_ && !own_.ready_command.has_processes()) {
        begin_ending({soft, ""}, own_.grace_milliseconds);
    }
}

// No end of the backend, however it ended.
void Supervision::try_ended(const ReadyTry& ended) {
    if (ending_ || main_exited_ || is_ready_) return;
    if (ended.code == 0) return became_ready();
    last_try_ = ended;
    Message message("not-ready");
    add_try(message, ended);
    own_.link.send(message);
}

void Supervision::on_notification() {
    const bool may_become = !is_ready_ && !ending_ && !main_exited_;
    if (own_.notify.take_ready() && may_become) became_ready();
}

void Supervision::became_ready() {
    is_ready_ = true;
    own_.ready_command.stop();
    own_.link.send(Message("ready"));
}

// Said first, before anything waits for the disk: the port is anybody's from now on.
void Supervision::main_ended(int status, const rusage& usage) {
    own_.ready_command.stop();
    on_exec_report();
    ShimRecord::MainExited exited{.user_microseconds = microseconds(usage.ru_utime),
                                  .system_microseconds = microseconds(usage.ru_stime),
                                  .max_rss_kib = usage.ru_maxrss};
    if (WIFEXITED(status)) exited.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) exited.signal = WTERMSIG(status);
    Message message("exited");
    add_exit(message, exited);
    own_.link.send(message);
    own_.log.drain();
    exited.dropped_log_bytes = own_.log.dropped_bytes();
    main_exited_ = exited;
    own_.record.main_exited(exited);
}

// The key is free as soon as the record says so: the lock is given up before the daemon is told.
void Supervision::tree_is_empty() {
    own_.log.finish();
    record_losses();
    own_.record.tree_empty();
    own_.link.stop_listening();
    own_.lock.release();
    own_.link.send(Message("gone"));
    finished_ = true;
}

void Supervision::on_request() {
    for (int requests = 0; requests < most_requests_at_once; ++requests) {
        const auto request = own_.link.receive();
        if (!request) return;
        heed(*request);
    }
}

void Supervision::heed(const Message& request) {
    if (request.verb() == "terminate") {
        const Milliseconds grace = request.number("grace_ms").value_or(own_.grace_milliseconds);
        const auto reason = request.text("reason").value_or("external");
        const auto cause = request.text("cause").value_or("");
        begin_ending(
            {request.text("kind") == hard ? hard : soft, std::string(reason), std::string(cause)},
            std::clamp(grace, Milliseconds{0}, longest_grace));
    } else if (request.verb() == "deadline") {
        const Milliseconds deadline{request.number("boottime_ms").value_or(never)};
        due_.set(Due::lifetime_end, std::max(never, deadline));
    }
}

// What the old connection had to say comes first.
void Supervision::on_connection() {
    on_request();
    switch (own_.link.accept()) {
        case DaemonLink::Accepted::connected:
            check_lock();
            own_.link.send(hello());
            break;
        case DaemonLink::Accepted::failed:  // no descriptor or memory left: it stays in the backlog
            due_.set(Due::accept, boottime_milliseconds() + accept_pause);
            break;
        case DaemonLink::Accepted::none:
            break;
    }
}

Message Supervision::hello() const {
    const char* state = "running";
    if (exec_report_) state = "locked";
    if (ending_) state = "ending";
    if (main_exited_) state = "exited";
    Message message("hello");
    message.add("protocol", std::int64_t{shim_protocol})
        .add("id", own_.backend_id)
        .add("token", own_.fencing_token)
        .add("shim_pid", static_cast<std::int64_t>(::getpid()))
        .add("shim_start", static_cast<std::int64_t>(own_.shim_start_time))
        .add("pid", static_cast<std::int64_t>(main_pid_))
        .add("start", static_cast<std::int64_t>(main_start_time_))
        .add("state", state);
    if (ending_) add_ending(message, *ending_);
    if (main_exited_) add_exit(message, *main_exited_);
    if (is_ready_) message.add("ready", std::int64_t{1});
    if (last_try_) add_try(message, *last_try_);
    return message;
}

void Supervision::on_lock_event() {
    alignas(inotify_event) char events[1024];
    if (::read(own_.lock_watch.get(), events, sizeof events) > 0) check_lock();
}

// Without its file the lock excludes nobody: a new file at the path could be locked as well. What
// the backend unlocked is locked again. No shim of this version can have come in between; but one
// of before may have, or whoever tries the lock has it for a moment.
void Supervision::check_lock() {
    const bool was_lost = std::exchange(lost_lock_, !own_.lock.keep());
    if (!own_.lock.is_in_place() || (lost_lock_ && was_lost)) {
        return begin_ending({hard, "internalerror"}, 0);
    }
    const Milliseconds pause = own_.lock_watch ? lock_check_pause : unwatched_lock_pause;
    due_.set(Due::lock_check, boottime_milliseconds() + (lost_lock_ ? lost_lock_pause : pause));
}

// Idempotent: of a soft and a hard ending each happens once, and a hard one replaces a soft one.
void Supervision::begin_ending(const ShimRecord::Ending& ending, Milliseconds grace) {
    if (ending_ && (ending_->kind == hard || ending.kind == soft)) return;
    ending_ = ending;
    own_.ready_command.stop();
    own_.record.ending(ending);
    Message message("ending");
    add_ending(message, ending);
    own_.link.send(message);
    if (ending.kind == soft) return terminate_softly(grace);
    due_.set(Due::grace_end, never);
    kill_pause_ = first_kill_pause;
    kill_everything();
}

// CONT after TERM: a stopped process would not see it otherwise.
void Supervision::terminate_softly(Milliseconds grace) {
    due_.set(Due::grace_end, boottime_milliseconds() + grace);
    signal_main_group(SIGTERM);
    signal_main_group(SIGCONT);
    terminate_outside_group(main_pid_);
}

void Supervision::kill_everything() {
    signal_main_group(SIGKILL);
    give_up_if_blind(!kill_descendants());
    due_.set(Due::next_kill, boottime_milliseconds() + kill_pause_);
    kill_pause_ = std::min(2 * kill_pause_, last_kill_pause);
}

// A backend may have taken our descriptors (prlimit), and nobody gives them back: what lives of it
// becomes the keeper's, which can look. Without the record's last stage no key is given before.
void Supervision::give_up_if_blind(bool is_blind) {
    const Milliseconds now = boottime_milliseconds();
    if (!is_blind) {
        blind_since_ = never;
    } else if (blind_since_ == never) {
        blind_since_ = now;
    } else if (now - blind_since_ >= longest_blindness) {
        own_.link.stop_listening();
        finished_ = true;
    }
}

void Supervision::signal_main_group(int signal) {
    signal_group(main_pid_, main_exited_.has_value(), signal);
    // Until the exec it may not lead its group yet.
    if (exec_report_ && !main_exited_) ::kill(main_pid_, signal);
}

}  // namespace jamsock
