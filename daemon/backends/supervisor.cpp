#include "daemon/backends/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "common/clock.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "daemon/backends/burial.h"
#include "daemon/backends/held_up.h"
#include "daemon/backends/loss_backoff.h"
#include "daemon/backends/not_ready.h"
#include "daemon/backends/ports.h"
#include "daemon/backends/readiness.h"
#include "daemon/backends/recovery.h"
#include "daemon/backends/start_failure.h"
#include "daemon/backends/step.h"
#include "daemon/descriptor_share.h"
#include "daemon/log.h"
#include "daemon/processors.h"

namespace jamsock {

namespace {

constexpr std::size_t starts_per_core = 4;
// Its directory, its channel, and one on the way.
constexpr std::size_t descriptors_of_one = 3;
constexpr std::chrono::milliseconds longest_burial_pause{1000};

std::optional<ProcessExit> exit_in(const ShimRecord& record) {
    if (!record.main_exited) return std::nullopt;
    return ProcessExit{record.main_exited->code, record.main_exited->signal};
}

std::optional<std::string> message_of(const std::optional<Error>& failure) {
    if (!failure) return std::nullopt;
    return failure->message;
}

bool is_any_new(const std::vector<Process>& found, const std::vector<Process>& before) {
    return std::ranges::any_of(found, [&](const Process& process) {
        return std::ranges::find(before, process.pid, &Process::pid) == before.end();
    });
}

}  // namespace

struct Supervisor::Supervised {
    explicit Supervised(const BackendRecord& known) : record(known), readiness(known) {}

    const BackendRecord record;
    UniqueFd directory;
    UniqueFd listener;  // until its shim has it
    std::optional<ShimChannel> channel;
    LossBackoff backoff;
    ReadinessWatch readiness;
    pid_t shim = 0;
    std::uint64_t shim_start_time = 0;
    std::uint64_t earliest_start = 0;      // 0: not yet known
    std::uint64_t cgroup = 0;              // its shim's; 0: not known
    std::optional<Process> main;           // only pid and start time are filled in
    Ref last_holder;                       // of its key, until it is proven gone
    StatusChange last;                     // what was last reported
    std::optional<ShimRecord> found_dead;  // at recovery: its shim is gone, and left this record
    std::optional<Termination> end;        // asked for, through us or found at recovery
    std::optional<Error> failure;
    bool told_to_go = false;
    bool lost_port = false;
    bool is_watched = false;  // until it is ready
    Event changed;            // its status
    bool was_ready = false;
    ReadyMark ready;          // … where
    bool is_killing = false;  // its shim said so

    void remember_shim(pid_t pid) {
        shim = pid;
        const auto process = read_process(pid);
        shim_start_time = process ? process->start_time : 0;
        if (process) earliest_start = shim_start_time;
    }
    void remember_traces(const std::optional<ShimRecord>& found) {
        if (found && !main) main = main_in(*found);
        if (found) cgroup = found->cgroup;  // a shim that ends shows another
        if (earliest_start == 0) earliest_start = jamsock::earliest_start(found, record.created_at);
    }
    // The shim, if it lives.
    std::optional<Process> shim_process() const {
        const auto process = shim == 0 ? std::nullopt : read_process(shim);
        const bool lives = process && process->start_time == shim_start_time;
        return lives ? process : std::nullopt;
    }
};

// One of the places for backends that start at the same time, given back at the end of its life.
class Supervisor::StartSlot {
  public:
    static Task<StartSlot> take(Supervisor& owner) {
        while (owner.free_start_slots_ == 0)
            co_await owner.slot_freed_.wait_until(never);
        --owner.free_start_slots_;
        co_return StartSlot(owner);
    }
    StartSlot(StartSlot&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    StartSlot& operator=(StartSlot&&) = delete;
    ~StartSlot() {
        if (!owner_) return;
        ++owner_->free_start_slots_;
        owner_->slot_freed_.notify_all();
    }

  private:
    explicit StartSlot(Supervisor& owner) : owner_(&owner) {}
    Supervisor* owner_;
};

Supervisor::Supervisor(asio::io_context& loop, const BackendFiles& files, HelperThread& helper,
                       Settings settings, OnEvent on_event, OnExit on_exit,
                       Recorded recorded)
    : loop_(loop),
      files_(files),
      helper_(helper),
      settings_(settings),
      on_event_(std::move(on_event)),
      on_exit_(std::move(on_exit)),
      recorded_(std::move(recorded)),
      free_start_slots_(starts_per_core * usable_processors()) {
}

Supervisor::~Supervisor() = default;

void Supervisor::spawn(Task<> task) {
    ++tasks_;
    asio::co_spawn(loop_, std::move(task), [this](const std::exception_ptr& failure) {
        if (failure) std::rethrow_exception(failure);
        --tasks_;
        if (stopping_) stopped_.notify_all();
    });
}

Task<> Supervisor::stop() {
    stopping_ = true;
    for (auto& [id, backend] : supervised_) {
        if (backend->channel) backend->channel->close();
        backend->changed.notify_all();
    }
    slot_freed_.notify_all();
    while (tasks_ > 0) {
        stopped_.notify_all();
        co_await stopped_.wait_until(after(timeouts::last_probe_pause));
    }
}

Result<> Supervisor::can_limit(const ResourceLimits& limits) const {
    return cgroups_.can_limit(limits);
}

// Those that are to start have no descriptor yet, and will.
Result<> Supervisor::check_room(std::size_t others) const {
    if (!settings_.keeps_directory()) {
        return fail(ErrorCode::shutting_down,
                    "The daemon's lock was removed or replaced, so it gives no key any more.",
                    "jamsock daemon status");
    }
    const auto unopened = others + static_cast<std::size_t>(std::ranges::count_if(
        supervised_, [](const auto& known) { return !known.second->directory; }));
    const std::size_t limit = descriptor_limit();
    const std::size_t needed = open_descriptors() + descriptors_of_one * (unopened + 1);
    if (needed + left_free_by(DescriptorUse::backend, limit) <= limit) return {};
    return fail(
        ErrorCode::usage_limit,
        fmt::format("The daemon may open {} files, which is too few for another backend.", limit),
        "jamsock list");
}

void Supervisor::start(const BackendRecord& record, const StartSettings& settings) {
    auto backend = std::make_shared<Supervised>(record);
    backend->last.status = Status::scheduled;
    supervised_.emplace(record.id, backend);
    spawn(start_and_follow(backend, settings));
}

Task<> Supervisor::start_and_follow(Ref backend, StartSettings settings) {
    Result<> launched = co_await launch(backend, settings);
    if (stopping_) co_return;
    if (launched) {
        settings = {};
        co_await follow(backend);
        co_return;
    }
    // Without `go` nothing was started, and the shim ends as soon as it sees the channel closed.
    backend->failure = std::move(launched.error());
    if (backend->channel) backend->channel->close();
    const std::optional<ShimRecord> none;
    co_await conclude(backend, none);
}

Task<Result<>> Supervisor::launch(const Ref& backend, const StartSettings& settings) {
    Result<> is_buried = co_await bury_last_holder(backend);
    if (!is_buried) co_return is_buried;
    const StartSlot slot = co_await StartSlot::take(*this);
    const auto is_unwanted = [this, &backend] { return backend->end || stopping_; };
    Result<> locked;
    if (!is_unwanted()) locked = co_await spawn_and_lock(backend, settings);
    if (!locked) co_return locked;
    if (is_unwanted()) {
        co_return fail_openly(ErrorCode::backend_ended_before_ready,
                              "The backend was asked to end before it had started.",
                              fmt::format("jamsock status {}", backend->record.id.str()));
    }
    change(*backend, {.status = Status::starting});
    at_step(Step::starting_recorded);
    backend->channel->send(Message("go"));
    backend->told_to_go = true;
    at_step(Step::go_sent);
    tell_deadline(*backend);
    watch(backend);
    co_return Result<>();
}

// Of whom nothing but the key's lock file tells: no directory, or none that names its end. As long
// as its lock is held it may serve somebody, and is named in place of being killed.
Task<Result<>> Supervisor::bury_last_holder(const Ref& backend) {
    const std::optional<BackendRecord> last = co_await find_last_holder(backend);
    if (!last || stopping_ || supervised_.contains(last->id)) co_return Result<>();
    const Deadline give_up = after(timeouts::lock_retry);
    const auto is_held = [this, &last] {
        return key_lock::is_held(files_.locks(), last->lock_name);
    };
    while (!stopping_ && is_held() && std::chrono::steady_clock::now() < give_up) {
        const Deadline next_look = after(timeouts::survivor_scan_pause);
        co_await stopped_.wait_until(next_look);
    }
    const std::string holder = last->id.str();
    if (is_held()) {
        Error error = co_await explain_held_lock(backend, holder);
        co_return tl::unexpected(std::move(error));
    }
    log::warn("backend {}: nothing tells of the end of the backend {}, which held the key last",
              backend->record.id.str(), holder);
    backend->last_holder = std::make_shared<Supervised>(*last);
    const std::optional<ShimRecord> none;
    co_await bury(backend->last_holder, none);
    backend->last_holder.reset();
    co_return Result<>();
}

// What a backend finds when it starts.
Task<Result<>> Supervisor::prepare(const Ref& backend, const StartSettings& settings) {
    auto directory = co_await make_directory(backend);
    if (!directory) co_return pass_on(directory);
    backend->directory = std::move(*directory);
    at_step(Step::directory_made);
    auto mounted = co_await make_mount(settings);
    if (!mounted) co_return pass_on(mounted);
    auto grouped = co_await make_cgroup(backend, settings.resources);
    if (!grouped) co_return pass_on(grouped);
    if (!backend->record.readiness.listen_fd.value_or(false)) co_return Result<>();
    co_return co_await make_listener(backend);
}

Task<Result<>> Supervisor::spawn_and_lock(const Ref& backend, const StartSettings& settings) {
    Result<> prepared = co_await prepare(backend, settings);
    if (!prepared) co_return prepared;
    const ShimSpec spec = shim_spec(backend->record, settings, settings_.backend_descriptor_limit,
                                    cgroups_.of(backend->record.id));
    auto shim = co_await spawn_shim_of(backend, spec);
    backend->listener.reset();
    if (!shim) co_return pass_on(shim);
    backend->remember_shim(shim->pid);
    backend->channel.emplace(loop_.get_executor(), std::move(shim->channel));
    at_step(Step::shim_spawned);
    change(*backend, {.status = Status::loading});

    const auto answer = co_await backend->channel->receive(timeouts::locked_message);
    at_step(Step::locked_heard);
    if (answer && answer->verb() == "locked") co_return Result<>();
    Error error = co_await explain_unlocked(backend, answer);
    co_return tl::unexpected(std::move(error));
}

// Why a shim did not say `locked`.
Task<Error> Supervisor::explain_unlocked(const Ref& backend, const std::optional<Message>& answer) {
    if (!answer) {
        co_return start_failure(
            "The backend's shim ended or stalled before it held the key's lock.");
    }
    if (answer->verb() == "stale") co_return stale_token(answer->number("token").value_or(0));
    if (answer->verb() != "busy") co_return failed_call(*answer);
    const std::string holder(answer->text("holder").value_or(""));
    Error error = co_await explain_held_lock(backend, holder);
    co_return error;
}

Task<Error> Supervisor::explain_held_lock(const Ref& backend, const std::string& holder) {
    const SurvivorQuery query{.lock = key_lock::inode(files_.locks(), backend->record.lock_name)};
    const std::vector<Process> holders = co_await search(query);
    co_return explain_busy_lock(holder, files_.has_ended(holder), topmost(holders));
}

Task<> Supervisor::heed_all(const Ref& backend) {
    for (;;) {
        const std::optional<Message> message = co_await backend->channel->receive();
        if (!message || stopping_) co_return;
        heed(backend, *message);
    }
}

// Reads the shim's messages until it is gone, and then settles how the backend ended.
Task<> Supervisor::follow(const Ref& backend) {
    std::optional<ShimRecord> record;
    bool reached = backend->channel.has_value();
    if (!reached) reached = co_await reach_shim(backend);
    while (reached && !stopping_) {
        co_await heed_all(backend);
        if (stopping_) co_return;
        at_step(Step::shim_left);
        record = co_await read_record_of(backend);
        const bool is_over = record && record->tree_empty;
        reached = false;
        if (!is_over) reached = co_await reach_shim(backend);
    }
    if (stopping_) co_return;
    record = co_await read_record_of(backend);
    if (record && record->tree_empty) {
        at_step(Step::record_read);
        co_await conclude(backend, record);
    } else {
        co_await bury(backend, record);
    }
}

// Whether the shim was connected to; else it is gone. One that doesn't answer is asked again.
Task<bool> Supervisor::reach_shim(const Ref& backend) {
    const Deadline pause = after(backend->backoff.after_loss(std::chrono::steady_clock::now()));
    co_await stopped_.wait_until(pause);
    bool is_gone = !backend->directory;
    while (!is_gone && !stopping_) {
        ShimChannel::Reached reached;
        if (settings_.keeps_directory())
            reached = ShimChannel::connect(loop_.get_executor(), backend->directory.get());
        if (reached.channel) {
            backend->channel.emplace(std::move(*reached.channel));
            backend->backoff.connected(std::chrono::steady_clock::now());
            backend->remember_shim(backend->channel->peer());
            if (backend->end) ask_to_end(*backend);
            co_return true;
        }
        is_gone = reached.is_gone;
        const Deadline next_try = after(timeouts::unresponsive_pause);
        if (!is_gone) co_await stopped_.wait_until(next_try);
    }
    co_return false;
}

void Supervisor::heed(const Ref& backend, const Message& message) {
    backend->readiness.heed(message);
    if (message.verb() == "hello") {
        heed_hello(backend, message);
    } else if (message.verb() == "started") {
        heed_started(backend, message);
    } else if (message.verb() == "exec-failed") {
        backend->failure = failed_exec(message, backend->record.service, backend->record.command);
    } else if (message.verb() == "failed") {
        backend->failure = failed_call(message);
    } else if (message.verb() == "exited") {
        on_exit_(backend->record.id);
    } else if (message.verb() == "ending") {
        heed_ending(backend, message);
    }
}

void Supervisor::heed_hello(const Ref& backend, const Message& hello) {
    const auto state = hello.text("state");
    tell_deadline(*backend);
    if (state == "exited") on_exit_(backend->record.id);
    if (state == "ending" || state == "exited") {
        heed_ending(backend, hello);
        // A hard end that it has not heard of: the worker that was asked for it died.
        const bool is_wanted_hard = backend->end && backend->end->kind == TerminationKind::hard;
        if (is_wanted_hard && !backend->is_killing) ask_to_end(*backend);
    } else if (state == "running") {
        heed_started(backend, hello);
    } else {
        heed_main(*backend, hello);
        watch(backend);
    }
}

void Supervisor::heed_main(Supervised& backend, const Message& told) {
    backend.main = Process{};
    backend.main->pid = static_cast<pid_t>(told.number("pid").value_or(0));
    backend.main->start_time = static_cast<std::uint64_t>(told.number("start").value_or(0));
}

void Supervisor::heed_started(const Ref& backend, const Message& started) {
    at_step(Step::started_heard);
    heed_main(*backend, started);
    if (backend->end) ask_to_end(*backend);
    change(*backend, {.status = Status::waiting});
    at_step(Step::waiting_recorded);
    watch(backend);
}

// A shim that was reached anew says again that it runs.
void Supervisor::watch(const Ref& backend) {
    if (backend->is_watched || backend->last.status > Status::waiting) return;
    backend->is_watched = true;
    spawn(watch_startup(backend));
}

void Supervisor::heed_ending(const Ref& backend, const Message& ending) {
    at_step(Step::ending_heard);
    const auto kind = kind_from_word(ending.text("kind").value_or(""));
    const auto reason = reason_from_word(ending.text("reason").value_or(""));
    backend->is_killing = backend->is_killing || kind == TerminationKind::hard;
    change(*backend, {.status = kind == TerminationKind::hard ? Status::hard_terminating
                                                              : Status::terminating,
                      .reason = reason,
                      .kind = reason ? kind : std::nullopt,
                      .cause = cause_from_word(ending.text("cause").value_or("")),
                      .diagnosis = message_of(backend->failure)});
}

// The shim enforces it, also while no daemon lives. Telling it again changes nothing.
void Supervisor::tell_deadline(Supervised& backend) {
    if (!backend.record.expires_at_boot || !backend.channel) return;
    backend.channel->send(Message("deadline").add("boottime_ms", *backend.record.expires_at_boot));
}

// From `go` on: exec may hang, or the way to the directory.
Task<> Supervisor::watch_startup(Ref backend) {
    const std::uint64_t start = backend->main ? backend->main->start_time : 0;
    const std::int64_t now = boot_milliseconds();
    const std::int64_t give_up_at =
        end_of_startup(start, ::sysconf(_SC_CLK_TCK), backend->record.limits.startup, now);
    const Deadline limit = after(std::chrono::milliseconds(give_up_at - now));
    const auto is_starting = [this, &backend] {
        return !stopping_ && backend->last.status < Status::waiting;
    };
    while (is_starting() && std::chrono::steady_clock::now() < limit)
        co_await backend->changed.wait_until(limit);
    if (is_starting()) co_return give_up_start(*backend, explain_no_program(backend->record));
    co_await watch_readiness(backend, give_up_at);
}

void Supervisor::give_up_start(Supervised& backend, Error failure) {
    backend.failure = std::move(failure);
    log::info("backend {}: {}", backend.record.id.str(), backend.failure->message);
    terminate(backend.record.id, {TerminationKind::hard, TerminationReason::startuptimeout});
}

Task<> Supervisor::watch_readiness(const Ref& backend, std::int64_t give_up_at) {
    const std::function<bool()> is_over = [this, backend] {
        return stopping_ || backend->last.status != Status::waiting;
    };
    if (is_over()) co_return;
    const ReadinessWatch::Place place{backend->shim, backend->directory.get()};
    const ReadinessWatch::Helpers helpers{helper_, output_helper_};
    const Verdict verdict = co_await backend->readiness.wait(place, give_up_at, helpers, is_over);
    if (is_over()) co_return;
    if (verdict == Verdict::ready) {
        const LastLook& look = backend->readiness.last_look();
        backend->ready = {.is_ipv6 = look.is_ipv6, .listener = look.listener};
        BackendFiles::mark_ready(backend->directory.get(), backend->ready);
        at_step(Step::ready_marked);
        backend->was_ready = true;
        change(*backend, {.status = Status::ready});
        at_step(Step::ready_recorded);
        co_return;
    }
    const PortReport report = co_await report_on_port_of(backend);
    if (is_over()) co_return;
    give_up_start(*backend,
                  explain_not_ready(backend->record, backend->readiness.last_look(), report));
}

void Supervisor::terminate(const BackendId& id, const Termination& termination) {
    const auto found = supervised_.find(id);
    if (found == supervised_.end()) return;
    Supervised& backend = *found->second;
    const bool escalates = backend.end && backend.end->kind == TerminationKind::soft &&
                           termination.kind == TerminationKind::hard;
    if (backend.end && !escalates) return;
    backend.end = termination;
    // The shim first: what it was told, grace and all, survives us.
    ask_to_end(backend);
    at_step(Step::shim_told);
    change(backend, {.status = termination.kind == TerminationKind::hard ? Status::hard_terminating
                                                                         : Status::terminating,
                     .reason = termination.reason,
                     .kind = termination.kind,
                     .cause = termination.cause,
                     .diagnosis = message_of(backend.failure)});
    at_step(Step::terminating_recorded);
    if (termination.kind == TerminationKind::hard) spawn(insist(found->second));
}

// The shim runs the whole ending, so nothing is lost if this process dies now. Before `go`
// there is nothing to end: `launch` looks at `end`.
void Supervisor::ask_to_end(Supervised& backend) {
    if (!backend.told_to_go || !backend.channel) return;
    const Termination& end = *backend.end;
    Message request("terminate");
    request.add("kind", word(end.kind))
        .add("reason", word(end.reason))
        .add("grace_ms", end.grace.count());
    if (end.cause) request.add("cause", word(*end.cause));
    backend.channel->send(request);
    if (end.kind == TerminationKind::hard) cgroup::kill(cgroups_.of(backend.record.id));
}

// A hard end wakes a stopped shim. One that does nothing all the same is killed: its backend goes
// with it, and what is left is searched for.
Task<> Supervisor::insist(Ref backend) {
    if (const auto shim = backend->shim_process()) signal_process(*shim, SIGCONT);
    const auto is_heard = [this, &backend] {
        return stopping_ || backend->is_killing || backend->last.status == Status::terminated;
    };
    const Deadline limit = after(timeouts::unresponsive_shim);
    while (!is_heard() && std::chrono::steady_clock::now() < limit) {
        const Deadline next_look = after(timeouts::unresponsive_pause);
        co_await stopped_.wait_until(next_look);
    }
    const auto shim = backend->shim_process();
    if (is_heard() || !shim) co_return;
    log::warn("backend {}: its shim, process {}, doesn't answer; killing it",
              backend->record.id.str(), shim->pid);
    signal_process(*shim, SIGKILL);
}

std::optional<pid_t> Supervisor::pid(const BackendId& id) const {
    const auto found = supervised_.find(id);
    if (found == supervised_.end() || !found->second->main) return std::nullopt;
    return found->second->main->pid;
}

Task<std::vector<std::optional<Usage>>> Supervisor::usage(const std::vector<BackendId>& ids) const {
    struct Place {
        std::optional<Process> shim;
        std::string cgroup;
    };
    std::vector<Place> places;
    for (const BackendId& id : ids) {
        const auto found = supervised_.find(id);
        const auto shim = found == supervised_.end() ? std::nullopt : found->second->shim_process();
        places.push_back({shim, cgroups_.of(id)});
    }
    return helper_.run([places = std::move(places)] {
        const std::vector<Process> all = all_processes();
        std::vector<std::optional<Usage>> usage;
        for (const auto& [shim, cgroup] : places)
            usage.push_back(shim ? usage_of_tree(all, shim->pid, cgroup) : std::nullopt);
        return usage;
    });
}

Task<BackendCondition> Supervisor::condition(const BackendId& id) const {
    std::optional<Process> shim;
    std::optional<SurvivorQuery> being_killed;
    if (const auto found = supervised_.find(id); found != supervised_.end()) {
        const Supervised& backend = *found->second;
        shim = backend.shim_process();
        if (backend.last.status == Status::hard_terminating) being_killed = survivors_of(backend);
        if (backend.last_holder) being_killed = survivors_of(*backend.last_holder);
    }
    return helper_.run([&files = files_, id, shim, being_killed] {
        return BackendCondition{note_on(shim, being_killed), files.dropped_log_bytes(id)};
    });
}

std::vector<std::string> Supervisor::log_tail(const BackendId& id, std::size_t count) const {
    return files_.log_tail(id, count);
}

Result<std::int64_t> Supervisor::recorded_token(const std::string& lock_name) const {
    return key_lock::sound_token(files_.locks(), lock_name);
}

Task<Result<std::vector<Supervisor::Found>>> Supervisor::find_live() {
    std::vector<Found> all;
    auto live = read_live(files_, cgroups_);
    if (!live) co_return pass_on(live);
    for (BackendFiles::Found& found : *live)
        all.push_back(take_in(std::move(found)));
    co_return all;
}

Supervisor::Found Supervisor::take_in(BackendFiles::Found found) {
    auto backend = std::make_shared<Supervised>(found.record);
    backend->directory = std::move(found.directory);
    // Known before anything is searched for: a shim that doesn't answer is no survivor.
    backend->remember_shim(living_shim(found.shim));
    backend->told_to_go = true;
    backend->remember_traces(found.shim);
    at_step(Step::record_seen);
    auto reached = ShimChannel::connect(loop_.get_executor(), backend->directory.get());
    backend->channel = std::move(reached.channel);
    // It may have ended since its record was read.
    if (reached.is_gone) {
        const auto last = read_record(backend->directory.get());
        backend->found_dead = last ? *last : found.shim.value_or(ShimRecord{});
    }
    supervised_.emplace(found.record.id, backend);
    return {found.record, found.ready};
}

// A later holder of the same key took its lock, and so began when nothing of this one was left.
std::optional<ShimRecord> Supervisor::end_of(const BackendRecord& record) const {
    std::optional<ShimRecord> end = known_end(files_, record);
    const bool has_successor = std::ranges::any_of(supervised_, [&](const auto& known) {
        const BackendRecord& other = known.second->record;
        return other.lock_name == record.lock_name && other.fencing_token > record.fencing_token;
    });
    if (!end && has_successor) end = ShimRecord{.tree_empty = true};
    return end;
}

bool Supervisor::has_ended(const BackendRecord& record) const {
    return end_of(record).has_value();
}

void Supervisor::adopt(const BackendRecord& record, const StatusChange& last) {
    if (last.status == Status::terminated) {
        put_away(record.id);
        supervised_.erase(record.id);
        return;
    }
    Ref& backend = supervised_[record.id];
    if (!backend) {
        backend = std::make_shared<Supervised>(record);
        backend->told_to_go = true;
        backend->found_dead = end_of(record).value_or(ShimRecord{});
        backend->remember_traces(backend->found_dead);
    }
    backend->last = last;
    backend->was_ready = last.status >= Status::ready;
    if (is_ending(last.status)) {
        backend->end = Termination{last.kind.value_or(TerminationKind::soft),
                                   last.reason.value_or(TerminationReason::external),
                                   record.limits.grace, last.cause};
        if (backend->end->kind == TerminationKind::hard) spawn(insist(backend));
    }
    // Settled here as far as it can be: nobody is given the URL of a backend that is gone.
    const Ref adopted = backend;
    if (adopted->found_dead && adopted->found_dead->tree_empty) {
        if (!adopted->directory && !adopted->found_dead->main_exited) change(*adopted, lost(last));
        settle(adopted, adopted->found_dead);
        spawn(put_away_adopted(adopted));
        return;
    }
    if (adopted->found_dead) report_lost(*adopted);
    spawn(follow_adopted(adopted));
}

Task<> Supervisor::follow_adopted(Ref backend) {
    co_await follow(backend);
}

SurvivorQuery Supervisor::survivors_of(const Supervised& backend) const {
    SurvivorQuery query{.keeper = ::getppid(),
                        .worker = ::getpid(),
                        .innocents = settings_.innocents,
                        .uid = ::geteuid(),
                        .mark = backend.record.mark,
                        .started = backend.earliest_start};
    for (const auto& [id, other] : supervised_) {
        if (other.get() != &backend && other->shim != 0) query.shims.push_back(other->shim);
    }
    query.main = backend.main;
    // One with a cgroup of its own isn't in its shim's.
    const std::string own_cgroup = cgroups_.of(backend.record.id);
    if (own_cgroup.empty() || ::access(own_cgroup.c_str(), F_OK) != 0)
        query.cgroup = backend.cgroup;
    query.lock = key_lock::inode(files_.locks(), backend.record.lock_name);
    return query;
}

void Supervisor::report_lost(Supervised& backend) {
    log::warn("backend {}: its shim is gone; looking for what it left", backend.record.id.str());
    change(backend, lost(backend.last));
}

// The shim is gone without the proof that its tree is: kills what is left until nothing is found
// and nobody holds the key's lock.
Task<> Supervisor::bury(const Ref& backend, const std::optional<ShimRecord>& record) {
    const BackendRecord& dead = backend->record;
    backend->shim = 0;
    backend->remember_traces(record);
    report_lost(*backend);
    at_step(Step::loss_recorded);
    std::chrono::nanoseconds pause = timeouts::survivor_scan_pause;
    std::vector<Process> last_survivors;
    std::vector<Process> last_unproven;
    bool told = false;
    bool was_empty = false;  // a look at /proc is no snapshot: what moves can be missed once
    bool is_empty = false;
    while (!stopping_ && !(is_empty && was_empty)) {
        was_empty = is_empty;
        const bool shim_lives = kill_shim(record);
        const bool is_held = key_lock::is_held(files_.locks(), dead.lock_name);
        const SurvivorQuery query = survivors_of(*backend);
        cgroup::kill(cgroups_.of(dead.id));
        const Survivors survivors = co_await kill(query);
        at_step(Step::survivors_killed);
        for (const Process& survivor : survivors.processes)
            log::warn("backend {}: killing {}, which its shim left", dead.id.str(), survivor.pid);
        if (is_any_new(survivors.unproven, last_unproven)) {
            log::warn("backend {}: {}", dead.id.str(),
                      note_on_unproven_processes(topmost(survivors.unproven)));
        }
        const bool is_moving = is_any_new(survivors.processes, last_survivors);
        last_survivors = survivors.processes;
        last_unproven = survivors.unproven;
        is_empty = survivors.is_none() && !shim_lives && !is_held;
        if (is_held && survivors.is_none() && pause == longest_burial_pause && !told) {
            log::warn("backend {}: its key's lock is held by a process that can't be found",
                      dead.id.str());
            told = true;
        }
        if (is_moving) pause = timeouts::survivor_scan_pause;
        const Deadline next_look = after(pause);
        co_await stopped_.wait_until(next_look);
        pause = std::min<std::chrono::nanoseconds>(pause * 2, longest_burial_pause);
    }
    if (stopping_) co_return;
    // The shim may have written more before it was gone.
    const std::optional<ShimRecord> last = co_await read_record_of(backend);
    if (stopping_) co_return;
    at_step(Step::loss_proved);
    co_await conclude(backend, last);
}

// A backend that could not listen ends by itself: the last lines say so, but not because of whom.
Task<> Supervisor::explain_early_end(const Ref& backend, const std::optional<ShimRecord>& record) {
    const bool is_explained = backend->was_ready || backend->end || backend->failure;
    if (is_explained || !record || backend->shim == 0) co_return;
    const auto exit = exit_in(*record);
    if (!exit) co_return;
    const PortReport report = co_await report_on_port_of(backend);
    backend->failure = explain_lost_port(backend->record.id, *exit, backend->record.port,
                                         backend->readiness.last_look(), report);
    backend->lost_port = backend->failure.has_value();
}

// The row first: a crash in between leaves a directory that recovery only has to move.
Task<> Supervisor::conclude(const Ref& backend, const std::optional<ShimRecord>& record) {
    co_await explain_early_end(backend, record);
    settle(backend, record);
    co_await put_away_recorded(backend->record.id);
}

// What can't be recorded now, recovery reads from the directory.
Task<> Supervisor::put_away_recorded(const BackendId& id) {
    const bool is_recorded = co_await recorded_();
    if (!is_recorded) co_return;
    at_step(Step::terminated_recorded);
    co_await put_away_later(id);
    at_step(Step::moved_to_history);
}

Task<> Supervisor::put_away_adopted(Ref backend) {
    co_await put_away_recorded(backend->record.id);
}

// Every process of the backend is gone, or none was ever started.
void Supervisor::settle(const Ref& backend, const std::optional<ShimRecord>& record) {
    const BackendId id = backend->record.id;
    StatusChange end{.status = Status::terminated, .diagnosis = message_of(backend->failure)};
    if (is_ending(backend->last.status)) {
        end.reason = backend->last.reason;
        end.kind = backend->last.kind;
        end.cause = backend->last.cause;
        if (!end.diagnosis) end.diagnosis = backend->last.diagnosis;
    } else if (backend->failure && !backend->told_to_go) {
        end.reason = TerminationReason::internalerror;
    }
    if (record) {
        end.exit = exit_in(*record);
        if (record->ending && !record->ending->reason.empty() && !end.reason) {
            end.reason = reason_from_word(record->ending->reason);
            end.kind = kind_from_word(record->ending->kind);
            end.cause = cause_from_word(record->ending->cause);
        }
    }
    // The kernel tells of all that it has killed, also of children that the backend outlived.
    const bool was_killed = end.exit && end.exit->signal == SIGKILL && !end.reason;
    const auto out_of_memory = was_killed ? cgroup::out_of_memory(cgroups_.of(id)) : std::nullopt;
    if (out_of_memory) {
        end.cause = EndCause::out_of_memory;
        if (!end.diagnosis) end.diagnosis = explain_out_of_memory(id, *out_of_memory);
    }
    supervised_.erase(id);
    change(*backend, end);
}

Task<Result<UniqueFd>> Supervisor::make_directory(const Ref& backend) {
    return helper_.run([this, backend] { return files_.create(backend->record); });
}

Task<Result<>> Supervisor::make_listener(const Ref& backend) {
    return helper_.run([backend]() -> Result<> {
        const std::uint16_t port = backend->record.port;
        ListeningSocket listening = listen_on(port);
        backend->listener = std::move(listening.fd);
        backend->lost_port = listening.error == EADDRINUSE;
        if (backend->listener) return {};
        return tl::unexpected(start_failure(
            fmt::format("The backend's port {} can't be listened on", port), listening.error));
    });
}

Task<Result<>> Supervisor::make_mount(const StartSettings& settings) {
    return helper_.run([this, mount = settings.mount]() -> Result<> {
        if (!mount) return {};
        return files_.make_mount(*mount);
    });
}

Task<Result<>> Supervisor::make_cgroup(const Ref& backend, const ResourceLimits& limits) {
    return helper_.run([directory = cgroups_.of(backend->record.id), limits]() -> Result<> {
        if (!cgroup::is_needed(limits)) return {};
        return cgroup::make(directory, limits);
    });
}

Task<Result<SpawnedShim>> Supervisor::spawn_shim_of(const Ref& backend, const ShimSpec& spec) {
    return helper_.run([this, backend, spec] {
        return spawn_shim(settings_.shim_program, spec, backend->directory.get(), files_.locks(),
                          backend->listener.get());
    });
}

Task<std::optional<ShimRecord>> Supervisor::read_record_of(const Ref& backend) {
    return helper_.run([backend]() -> std::optional<ShimRecord> {
        if (!backend->directory) return std::nullopt;
        return read_record(backend->directory.get());
    });
}

Task<std::optional<BackendRecord>> Supervisor::find_last_holder(const Ref& backend) {
    return helper_.run(
        [this, backend] { return unaccounted_holder(files_, backend->record.lock_name); });
}

Task<std::vector<Process>> Supervisor::search(const SurvivorQuery& query) {
    return helper_.run([query] { return find_survivors(query).processes; });
}

Task<Survivors> Supervisor::kill(const SurvivorQuery& query) {
    return helper_.run([query] { return kill_survivors(query); });
}

Task<PortReport> Supervisor::report_on_port_of(const Ref& backend) {
    return helper_.run(
        [port = backend->record.port, shim = backend->shim] { return report_on_port(port, shim); });
}

// What is left of a backend whose processes are gone.
void Supervisor::put_away(const BackendId& id) const {
    cgroup::remove(cgroups_.of(id));
    files_.move_to_history(id);
}

Task<> Supervisor::put_away_later(const BackendId& id) {
    return helper_.run([this, id] { put_away(id); });
}

void Supervisor::change(Supervised& backend, StatusChange change) {
    if (!may_follow(backend.last.status, change.status)) return;
    change.time = wall_milliseconds();
    backend.last = change;
    backend.changed.notify_all();
    log::info("backend {}: {}{}{}", backend.record.id.str(), word(change.status),
              change.reason ? fmt::format(", {}", word(*change.reason)) : "",
              change.exit ? fmt::format(", {}", describe(*change.exit)) : "");
    const bool is_last = change.status == Status::terminated;
    on_event_({backend.record.id, change, is_last ? backend.failure : std::nullopt,
               is_last && backend.lost_port, backend.ready});
}

}  // namespace jamsock
