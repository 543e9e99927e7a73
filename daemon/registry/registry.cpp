#include "daemon/registry/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <tuple>

#include "common/clock.h"
#include "common/hints.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "daemon/backends/step.h"
#include "daemon/log.h"
#include "daemon/proxy/header_rules.h"
#include "daemon/registry/entry.h"

namespace jamsock {

namespace {

constexpr std::size_t told_log_lines = 20;

std::int64_t now_seconds() {
    return wall_milliseconds() / 1000;
}

Store::IssuedToken issued(const BackendId& backend, const ConnectionToken& token) {
    return {backend, token.hash(), token.issue_time() + timeouts::token_life.count()};
}

Error ended_before_ready(const BackendId& id, const StatusChange& end,
                         std::vector<std::string> tail) {
    const std::string how = end.exit                                    ? describe(*end.exit)
                            : end.reason == TerminationReason::external ? "was terminated"
                                                                        : "ended";
    return for_anybody({ErrorCode::backend_ended_before_ready,
                        fmt::format("The backend {} {} before it was ready.", id.str(), how),
                        fmt::format("jamsock status {}", id.str()), std::move(tail)});
}

// A limit of 0 means the end of the last use; whoever was given a URL gets to use it.
std::chrono::seconds idle_time(const LifeLimits& limits) {
    return limits.max_idle.count() == 0 ? timeouts::shortest_idle : limits.max_idle;
}

bool matches(const BackendRecord& record, const KeyFilter& filter) {
    if (!filter.service.empty() && filter.service != record.service.service()) return false;
    return filter.prefix.empty() || (record.key && record.key->str().starts_with(filter.prefix));
}

void cut_to(std::size_t limit, KeyList& list) {
    if (list.keys.size() <= limit) return;
    list.keys.erase(list.keys.begin() + static_cast<std::ptrdiff_t>(limit), list.keys.end());
    const KeyEntry& last = list.keys.back();
    list.next_cursor = KeyCursor{last.key, last.backend_id}.str();
}

// There is one status at least.
HistoryEntry history_entry(const BackendRecord& record, const std::vector<StatusChange>& statuses) {
    HistoryEntry entry{.id = record.id,
                       .service = record.service,
                       .key = *record.key,
                       .created_at = record.created_at,
                       .status = statuses.back()};
    const auto ready = std::ranges::find(statuses, Status::ready, &StatusChange::status);
    if (ready != statuses.end()) entry.ready_at = ready->time;
    return entry;
}

std::vector<StatusChange> without_first(const std::vector<StatusChange>& all, std::size_t count) {
    return {all.begin() + static_cast<std::ptrdiff_t>(std::min(count, all.size())), all.end()};
}

std::string_view outcome_of(const Result<ConnectResponse>& response) {
    if (!response) return info(response.error().code).name;
    return response->spawned ? "spawned" : "held";
}

tl::unexpected<Error> no_backend(const BackendId& id) {
    return fail(ErrorCode::backend_not_found,
                fmt::format("There is no backend {}.", in_quotes(id.str())), "jamsock list");
}

tl::unexpected<Error> unreadable_database() {
    return fail_openly(ErrorCode::internal, "The daemon's database could not be read.",
                       "jamsock daemon logs");
}

std::string described(const Command& command) {
    return fmt::format("{} in {}", in_quotes(shell_line(command.argv)), in_quotes(command.cwd));
}

}  // namespace

Registry::Registry(Store& store, StoreWriter& writer, Services& services, Backends& backends,
                   RouteSink routes, RegistrySettings settings)
    : store_(store),
      writer_(writer),
      services_(services),
      backends_(backends),
      routes_(std::move(routes)),
      settings_(std::move(settings)),
      unrecorded_(writer, [this] { recorded_->notify_all(); }) {
}

Registry::~Registry() = default;

Task<> Registry::keep_recording() {
    return unrecorded_.keep_recording();
}

Task<bool> Registry::recorded() {
    return unrecorded_.recorded(never);
}

Task<> Registry::finish_recording() {
    return unrecorded_.finish();
}

void Registry::stop() {
    stopping_ = true;
    for (auto& [id, entry] : by_id_)
        entry->changed.notify_all();
    recorded_->notify_all();
    unrecorded_.stop();
}

Task<Result<ConnectResponse>> Registry::connect(const ServiceName& service,
                                                const ConnectRequest& request,
                                                std::optional<Patience> ready_by, Caller* caller) {
    if (auto checked = check(request); !checked) co_return counted(pass_on(checked));
    for (int start_number = 1;; ++start_number) {
        auto held = co_await hold(service, request, ready_by, caller, start_number);
        if (!held) co_return counted(pass_on(held));
        // The URL's time begins when there is something to use it for.
        Result<> ready;
        if (ready_by) ready = co_await wait_until_ready(held->entry, *ready_by);
        if (ready) {
            auto granted = co_await grant(held->entry, held->spawned, request);
            co_return counted(std::move(granted));
        }
        if (!may_start_again(*held->entry, request)) co_return counted(pass_on(ready));
        start_number = held->entry->start_number;
    }
}

Result<ConnectResponse> Registry::counted(Result<ConnectResponse> response) {
    ++counts_.connects[outcome_of(response)];
    return response;
}

void Registry::count_refused(const Error& refusal) {
    ++counts_.connects[info(refusal.code).name];
}

bool Registry::may_start_again(const Entry& ended, const ConnectRequest& request) const {
    return ended.lost_port && ended.start_number < most_starts && request.spawn && !stopping_;
}

Result<> Registry::check(const ConnectRequest& request) const {
    if (stopping_) return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
    if (request.user && has_control_character(*request.user)) {
        return fail(ErrorCode::invalid_request, "The field 'user' has a control character.");
    }
    if (request.user && !is_exact_as_value(*request.user)) {
        return fail(ErrorCode::invalid_request,
                    "The field 'user' begins or ends with a blank, which gets lost on the way to "
                    "the backend.");
    }
    if (request.command && (!request.command->argv.front().starts_with('/') ||
                            !request.command->cwd.starts_with('/'))) {
        return fail(
            ErrorCode::invalid_request,
            "A command in place needs an absolute path as its first word and as its 'cwd'.");
    }
    if (request.mount && request.mount->is_own() && !request.key) {
        return fail(ErrorCode::invalid_request,
                    "A mount of the key's own ('mount' true) needs a 'key'; without one, name the "
                    "mount.");
    }
    if (auto sound = check_variables(request.env); !sound) return sound;
    return check_variables(request.base_environment.value_or(EnvironmentMap{}));
}

// A key held by another program than was asked for: never that program's URL.
Result<> Registry::check_same_program(const Entry& holder, const ServiceName& service,
                                      const ConnectRequest& request) const {
    const BackendRecord& record = holder.record;
    if (record.service != service) {
        return fail(ErrorCode::key_held,
                    fmt::format("The key is held by backend {} of {}, not of {}.", record.id.str(),
                                in_quotes(record.service.str()), in_quotes(service.str())),
                    key_command("connect", record.service, *record.key));
    }
    if (request.command && *request.command != record.command) {
        const std::string start =
            fmt::format("The key is held by backend {}, which runs", record.id.str());
        const std::string hint = fmt::format("jamsock status {}", record.id.str());
        return tl::unexpected(
            for_others({ErrorCode::key_held,
                        fmt::format("{} {}, not {}.", start, described(record.command),
                                    described(*request.command)),
                        hint,
                        {}},
                       start + " another command.", hint));
    }
    if (request.tag && request.tag != record.tag) {
        return fail(ErrorCode::key_held,
                    fmt::format("The key is held by backend {}, which has {}.", record.id.str(),
                                record.tag ? "the tag " + in_quotes(*record.tag) : "no tag"),
                    fmt::format("jamsock status {}", record.id.str()));
    }
    return {};
}

Registry::Ref Registry::holder(const ServiceName& service, const std::optional<Key>& key) const {
    if (!key) return nullptr;
    const auto found = by_key_.find({service.account(), service.service(), *key});
    return found == by_key_.end() ? nullptr : found->second;
}

void Registry::add(const Ref& entry) {
    const BackendRecord& record = entry->record;
    by_id_.emplace(record.id, entry);
    if (record.key) {
        by_key_.emplace(KeyName{record.service.account(), record.service.service(), *record.key},
                        entry);
    }
}

void Registry::remove(const Ref& entry) {
    const BackendRecord& record = entry->record;
    by_id_.erase(record.id);
    if (record.key && holder(record.service, record.key) == entry) {
        by_key_.erase({record.service.account(), record.service.service(), *record.key});
    }
}

void Registry::publish(const Entry& entry) {
    const StatusChange& last = entry.statuses.back();
    routes_.publish(std::make_shared<const Route>(
        Route{.id = entry.record.id,
              .serial = entry.record.serial,
              .key = entry.record.mac_key,
              .state = !is_live(last.status)          ? Route::State::ending
                       : last.status == Status::ready ? Route::State::ready
                                                      : Route::State::pending,
              .port = entry.record.port,
              .is_ipv6 = entry.ready.is_ipv6,
              .listener = entry.ready.listener,
              .startup_limit_passed = last.reason == TerminationReason::startuptimeout,
              .activity = entry.activity,
              .revoked = entry.revoked,
              .refuses_foreign_origins = entry.record.allow_origins == OriginRule::strict}));
}

// A new connection token costs no write, unless it carries a user or auth data.
Task<Result<ConnectResponse>> Registry::grant(const Ref& entry, bool spawned,
                                              const ConnectRequest& request) {
    const BackendRecord& record = entry->record;
    const Identity identity{request.user, request.auth};
    const bool has_identity = identity.user || identity.auth;
    const std::int64_t now = now_seconds();
    const auto token = ConnectionToken::issue(record.mac_key, record.serial,
                                              static_cast<std::uint32_t>(now), has_identity);
    if (has_identity) {
        const Store::IssuedToken named = issued(record.id, token);
        auto remembered = co_await writer_.remember_identity(named, identity, now);
        if (!remembered) co_return pass_on(remembered);
    }
    entry->activity->touch();
    const std::string text = token.reveal();
    at_step(Step::connect_granted);
    const std::string& api = settings_.api_base;
    co_return ConnectResponse{
        .backend_id = record.id,
        .spawned = spawned,
        .status = entry->status(),
        .token = text,
        .url = settings_.url_base + text + "/",
        .secret_token = secret_token(record.mac_key, token),
        .status_url = fmt::format("{}/v2/backend/{}/status", api, record.id.str()),
        .ready_url = fmt::format("{}/ready/{}/{}/", api, record.id.str(), text)};
}

Task<Result<>> Registry::wait_until_ready(const Ref& entry, Patience limit) {
    while (entry->status() < Status::ready) {
        if (stopping_) co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
        const bool changed = co_await limit.wait_for(entry->changed);
        if (!changed) {
            co_return fail(ErrorCode::timed_out,
                           fmt::format("The backend {} is not ready yet: it is {}.",
                                       entry->record.id.str(), word(entry->status())),
                           fmt::format("jamsock status {}", entry->record.id.str()));
        }
    }
    if (entry->status() == Status::ready) co_return Result<>();

    const Patience end(after(entry->record.limits.grace + timeouts::ending_margin), limit.caller);
    co_await wait_until_ended(entry, end);
    auto tail = backends_.log_tail(entry->record.id, told_log_lines);
    if (!entry->failure) {
        co_return tl::unexpected(
            ended_before_ready(entry->record.id, entry->statuses.back(), std::move(tail)));
    }
    Error failure = *entry->failure;
    failure.log_tail = std::move(tail);
    co_return tl::unexpected(std::move(failure));
}

Error Registry::still_ending(const Entry& entry) const {
    if (stopping_) return {ErrorCode::shutting_down, "The daemon is shutting down.", {}, {}};
    const std::string& id = entry.record.id.str();
    return {ErrorCode::conflict,
            fmt::format("The backend {} is still ending.", id),
            fmt::format("jamsock terminate --hard {}", id),
            {}};
}

Task<bool> Registry::wait_until_ended(const Ref& entry, Patience limit) {
    while (entry->status() != Status::terminated) {
        const bool changed = !stopping_ && co_await limit.wait_for(entry->changed);
        if (!changed) co_return false;
    }
    co_return true;
}

KeyList Registry::keys(const KeyFilter& filter) const {
    KeyList list;
    for (const auto& [id, entry] : by_id_) {
        const BackendRecord& record = entry->record;
        if (entry->is_acquiring || !matches(record, filter)) continue;
        if (filter.after && KeyCursor{record.key, id} <= *filter.after) continue;
        list.keys.push_back({.key = record.key,
                             .service = record.service,
                             .backend_id = id,
                             .status = entry->status(),
                             .fencing_token = record.fencing_token,
                             .created_at = record.created_at,
                             .connections = entry->activity->in_flight(),
                             .idle_seconds = entry->activity->idle_seconds(),
                             .max_idle_seconds = record.limits.max_idle.count()});
    }
    std::ranges::sort(list.keys, {},
                      [](const KeyEntry& entry) { return std::tie(entry.key, entry.backend_id); });
    cut_to(filter.limit.value_or(list.keys.size()), list);
    return list;
}

Task<> Registry::add_usage(KeyList& list) const {
    std::vector<BackendId> ids;
    for (const KeyEntry& entry : list.keys)
        ids.push_back(entry.backend_id);
    const auto used = co_await backends_.usage(ids);
    for (std::size_t i = 0; i < used.size(); ++i) {
        if (used[i]) list.keys[i].memory_used = used[i]->memory;
    }
}

RunningBackends Registry::running_backends() const {
    RunningBackends running;
    for (const auto& [id, entry] : by_id_) {
        if (entry->is_acquiring) continue;
        const BackendRecord& record = entry->record;
        running.backends.push_back({.id = id,
                                    .service = record.service,
                                    .key = record.key,
                                    .created_at = record.created_at,
                                    .status = entry->statuses.back()});
    }
    std::ranges::sort(running.backends, {}, [](const RunningBackend& backend) {
        return std::pair(backend.created_at, backend.id);
    });
    return running;
}

Task<Result<EventList>> Registry::events_after(std::int64_t cursor, std::size_t most,
                                               Patience limit) {
    const auto recorded = recorded_;
    // What has happened by now is in the store by then, unless that can't be.
    const Deadline soon = after(timeouts::last_store_write);
    if (!unrecorded_.is_blocked()) co_await unrecorded_.recorded(soon);
    bool may_come = std::chrono::steady_clock::now() < limit.until;
    for (;;) {
        auto list = store_.events_after(cursor, most);
        if (!list) co_return pass_on(list);
        if (!list->events.empty()) co_return *std::move(list);
        if (stopping_) co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
        const bool is_all = list->cursor == cursor;  // and no page of rows that make no sense
        cursor = list->cursor;
        if (is_all && !may_come) co_return EventList{.cursor = cursor};
        if (is_all) may_come = co_await limit.wait_for(*recorded);
    }
}

Result<KeyHistory> Registry::history(const ServiceName& service, const Key& key,
                                     std::size_t most) const {
    auto records = store_.backends_of(service, key, most);
    if (!records) return pass_on(records);
    KeyHistory history;
    for (const BackendRecord& record : *records) {
        const auto statuses = statuses_of(record.id);
        if (statuses.empty()) return unreadable_database();
        history.backends.push_back(history_entry(record, statuses));
    }
    return history;
}

Result<BackendInfo> Registry::backend(const BackendId& id) const {
    const auto live = by_id_.find(id);
    const auto ended = live == by_id_.end() ? store_.find_backend(id) : std::nullopt;
    if (live == by_id_.end() && !ended) {
        return no_backend(id);
    }
    const BackendRecord& record = ended ? *ended : live->second->record;
    BackendInfo info{.id = id,
                     .service = record.service,
                     .key = record.key,
                     .created_at = record.created_at,
                     .statuses = statuses_of(id),
                     .command = record.command,
                     .fencing_token = record.fencing_token,
                     .port = record.port,
                     .max_idle_seconds = record.limits.max_idle.count()};
    if (record.limits.lifetime) {
        info.expires_at =
            record.created_at + std::chrono::milliseconds(*record.limits.lifetime).count();
    }
    if (!ended) {
        info.pid = backends_.pid(id);
        info.connections = live->second->activity->in_flight();
        info.idle_seconds = live->second->activity->idle_seconds();
    }
    return info;
}

Task<Result<BackendInfo>> Registry::inspect(const BackendId& id) const {
    auto info = backend(id);
    if (!info) co_return info;
    const BackendCondition condition = co_await backends_.condition(id);
    info->note = condition.note;
    info->dropped_log_bytes = condition.dropped_log_bytes;
    co_return info;
}

Result<std::vector<StatusChange>> Registry::statuses(const BackendId& id) const {
    const auto live = by_id_.find(id);
    if (live != by_id_.end()) return live->second->statuses;
    if (!store_.find_backend(id)) return no_backend(id);
    auto all = statuses_of_ended(id);
    if (!all.empty()) return all;
    return unreadable_database();
}

Task<Result<std::vector<StatusChange>>> Registry::statuses_after(const BackendId& id,
                                                                 std::size_t seen,
                                                                 asio::steady_timer& limit) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) {
        auto ended = statuses(id);
        if (!ended) co_return pass_on(ended);
        co_return without_first(*ended, seen);
    }
    const Ref entry = found->second;
    bool may_come = !stopping_;
    while (entry->statuses.size() <= seen && may_come) {
        const bool changed = co_await entry->changed.wait(limit);
        may_come = changed && !stopping_;
    }
    if (stopping_) co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
    co_return without_first(entry->statuses, seen);
}

Result<Admission> Registry::hold_in_use(const BackendId& id) const {
    const auto found = running(id);
    if (!found) return tl::unexpected(found.error());
    auto admission = Admission::enter((*found)->activity);
    if (admission) return std::move(*admission);
    return fail(ErrorCode::backend_not_running, fmt::format("The backend {} is ending.", id.str()),
                fmt::format("jamsock status {}", id.str()));
}

Result<std::string> Registry::url(const BackendId& id, const std::string& text) const {
    const auto live = by_id_.find(id);
    const auto ended = live == by_id_.end() ? store_.find_backend(id) : std::nullopt;
    const BackendRecord* record = ended                  ? &*ended
                                  : live != by_id_.end() ? &live->second->record
                                                         : nullptr;
    const auto token = ConnectionToken::decode(text);
    if (!record || !token || token->serial() != record->serial ||
        !token->is_genuine(record->mac_key)) {
        return fail(ErrorCode::backend_not_found,
                    fmt::format("There is no backend {} with this token.", in_quotes(id.str())),
                    "jamsock list");
    }
    if (is_good(*record, *token)) return settings_.url_base + text + "/";
    return fail(ErrorCode::backend_gone,
                fmt::format("This token of the backend {} has expired or was revoked.", id.str()),
                fmt::format("jamsock status {}", id.str()));
}

// As the proxy has it. Of a backend that has ended nothing is left to be revoked.
bool Registry::is_good(const BackendRecord& record, const ConnectionToken& token) const {
    if (token.is_expired(now_seconds())) return false;
    const auto live = by_id_.find(record.id);
    if (live == by_id_.end()) return true;
    const auto known = token.has_identity() ? identity(token.hash()) : Identity{};
    const auto& revoked = live->second->revoked;
    return known && !(revoked && revoked->contains(token, known->user));
}

Task<Result<StatusChange>> Registry::ready_or_ended(const BackendId& id, Patience limit) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) {
        auto ended = statuses(id);
        if (!ended) co_return pass_on(ended);
        co_return ended->back();
    }
    const Ref entry = found->second;
    bool may_come = !stopping_;
    while (entry->status() != Status::ready && entry->status() != Status::terminated && may_come) {
        const bool changed = co_await limit.wait_for(entry->changed);
        may_come = changed && !stopping_;
    }
    if (stopping_) co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
    co_return entry->statuses.back();
}

std::vector<StatusChange> Registry::statuses_of(const BackendId& id) const {
    const auto live = by_id_.find(id);
    return live == by_id_.end() ? statuses_of_ended(id) : live->second->statuses;
}

// Also what the store could not take yet.
std::vector<StatusChange> Registry::statuses_of_ended(const BackendId& id) const {
    std::vector<StatusChange> statuses = store_.statuses(id);
    for (const StatusChange& change : unrecorded_.of(id)) {
        const bool is_there = !statuses.empty() && statuses.back().status >= change.status;
        if (!is_there) statuses.push_back(change);
    }
    return statuses;
}

Result<Registry::Ref> Registry::running(const BackendId& id) const {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) return found->second;
    auto known = backend(id);
    if (!known) return pass_on(known);
    return fail(ErrorCode::backend_not_running,
                fmt::format("The backend {} has ended already.", id.str()),
                fmt::format("jamsock status {}", id.str()));
}

Task<Result<>> Registry::terminate(const BackendId& id, const TerminateRequest& request, bool wait,
                                   Caller* caller) {
    auto found = running(id);
    if (!found) co_return pass_on(found);
    const Ref entry = *found;
    const auto grace = request.grace_seconds ? std::chrono::seconds(*request.grace_seconds)
                                             : entry->record.limits.grace;
    if (!entry->end_by || request.kind == TerminationKind::hard) {
        log::info("backend {}: {} termination asked for", id.str(), word(request.kind));
    }
    at_step(Step::terminate_asked);
    begin_ending(*entry, {request.kind, TerminationReason::external, grace});
    if (!wait) co_return Result<>();
    const Patience limit(*entry->end_by, caller);
    const bool ended = co_await wait_until_ended(entry, limit);
    at_step(Step::end_awaited);
    if (!ended) co_return tl::unexpected(still_ending(*entry));
    co_return Result<>();
}

void Registry::begin_ending(Entry& entry, const Termination& termination) {
    if (!entry.end_by || termination.kind == TerminationKind::hard) {
        entry.end_by = after(termination.grace + timeouts::ending_margin);
    }
    if (entry.is_acquiring) {  // nothing is started yet that could end
        entry.wanted_end = termination;
        return;
    }
    backends_.terminate(entry.record.id, termination);
}

Result<TerminateBackendsResponse> Registry::terminate_backends(
    const ServiceName& service, const TerminateBackendsRequest& request) {
    if (auto known = services_.info(service); !known) return pass_on(known);
    std::vector<Ref> chosen = backends_of(service);
    std::erase_if(chosen,
                  [&](const Ref& entry) { return entry->record.created_at >= request.before; });
    if (request.dry_run) return TerminateBackendsResponse{.found = chosen.size()};
    log::info("service {}: {} termination of {} backends asked for", in_quotes(service.str()),
              word(request.kind), chosen.size());
    for (const Ref& entry : chosen) {
        begin_ending(*entry,
                     {request.kind, TerminationReason::external, entry->record.limits.grace});
    }
    return TerminateBackendsResponse{.found = chosen.size(), .terminated = chosen.size()};
}

Task<Result<RevokeResponse>> Registry::revoke(const BackendId& id, const RevokeRequest& request) {
    auto found = running(id);
    if (!found) co_return pass_on(found);
    const Ref entry = *found;
    Result<std::size_t> revoked = 0;
    if (request.by == RevokeRequest::By::user) {
        revoked = co_await revoke_user(entry, request.value);
    } else {
        revoked = co_await revoke_token(entry, request.value);
    }
    if (!revoked) co_return pass_on(revoked);
    if (entry->status() != Status::terminated) publish(*entry);
    if (request.close) routes_.cut_revoked(entry->record.serial);
    log::info("backend {}: {} connection tokens revoked{}", id.str(), *revoked,
              request.close ? ", their connections end" : "");
    co_return RevokeResponse{*revoked};
}

Task<Result<std::size_t>> Registry::revoke_user(const Ref& entry, const std::string& user) {
    const std::int64_t now = now_seconds();
    auto hashes = co_await writer_.revoke_user(entry->record.id, user, now);
    if (!hashes) co_return pass_on(hashes);
    entry->revoke(
        [&](const RevokedTokens& before) { return before.with(*hashes).with_expired(user, now); });
    co_return hashes->size();
}

Task<Result<std::size_t>> Registry::revoke_token(const Ref& entry, const std::string& text) {
    const BackendRecord& record = entry->record;
    const auto token = ConnectionToken::decode(text);
    if (!token || token->serial() != record.serial || !token->is_genuine(record.mac_key)) {
        co_return fail(
            ErrorCode::invalid_request,
            fmt::format("The token is none that was issued for the backend {}.", record.id.str()));
    }
    std::size_t count = 0;
    if (!token->is_expired(now_seconds())) {
        const Store::IssuedToken named = issued(record.id, *token);
        auto revoked = co_await writer_.revoke(named);
        if (!revoked) co_return pass_on(revoked);
        count = *revoked;
    }
    entry->revoke([&](const RevokedTokens& before) { return before.with({token->hash()}); });
    co_return count;
}

Result<> Registry::recall_revoked() {
    auto revoked = store_.revoked(now_seconds());
    if (!revoked) return pass_on(revoked);
    for (const auto& [id, hashes] : *revoked) {
        const auto found = by_id_.find(id);
        if (found == by_id_.end()) continue;
        found->second->revoke([&](const RevokedTokens& before) { return before.with(hashes); });
        publish(*found->second);
    }
    return {};
}

std::vector<Registry::Ref> Registry::backends_of(const ServiceName& name) const {
    std::vector<Ref> found;
    for (const auto& [id, entry] : by_id_) {
        const ServiceName& service = entry->record.service;
        if (service == name || (name.is_whole() && service.whole() == name)) found.push_back(entry);
    }
    return found;
}

Task<Result<>> Registry::delete_service(const ServiceName& name,
                                        const ServiceDeleteRequest& request) {
    auto deletion = services_.begin_deletion(name);
    if (!deletion) co_return pass_on(deletion);
    const std::vector<Ref> running = backends_of(name);
    if (!running.empty() && !request.force) {
        co_return fail(ErrorCode::conflict,
                       fmt::format("The service {} has {} running {}.", in_quotes(name.str()),
                                   running.size(), running.size() == 1 ? "backend" : "backends"),
                       shell_line({"jamsock", "service", "delete", name.str(), "--force"}));
    }
    for (const Ref& entry : running) {
        begin_ending(*entry, {TerminationKind::soft, TerminationReason::external,
                              entry->record.limits.grace});
    }
    for (const Ref& entry : running) {
        const Deadline limit = *entry->end_by;
        const bool ended = co_await wait_until_ended(entry, limit);
        if (!ended) co_return tl::unexpected(still_ending(*entry));
    }
    co_return co_await deletion->finish();
}

void Registry::look_after() {
    unrecorded_.try_again();
    end_idle();
}

void Registry::end_idle() {
    std::vector<Ref> idle;  // an ending changes `by_id_`
    for (const auto& [id, entry] : by_id_) {
        const LifeLimits& limits = entry->record.limits;
        if (entry->status() != Status::ready) continue;
        if (!entry->activity->close_if_idle(idle_time(limits))) continue;
        idle.push_back(entry);
    }
    for (const Ref& entry : idle) {
        const LifeLimits& limits = entry->record.limits;
        log::info("backend {}: idle for {} s", entry->record.id.str(), limits.max_idle.count());
        begin_ending(*entry, {TerminationKind::soft, TerminationReason::swept, limits.grace,
                              EndCause::idle});
    }
}

std::optional<Identity> Registry::identity(const std::string& token_hash) const {
    return store_.identity(token_hash, now_seconds());
}

std::map<Status, std::size_t> Registry::live_by_status() const {
    std::map<Status, std::size_t> counts;
    for (const auto& [id, entry] : by_id_)
        ++counts[entry->status()];
    return counts;
}

std::unordered_set<std::string> Registry::locks_in_use() const {
    std::unordered_set<std::string> names;
    for (const auto& [id, entry] : by_id_)
        names.insert(entry->record.lock_name);
    return names;
}

Task<StatusChange> Registry::take_in(const BackendRecord& record,
                                     const std::optional<ReadyMark>& ready) {
    auto entry = std::make_shared<Entry>(record, settings_.now);
    entry->ready = ready.value_or(ReadyMark{});
    entry->statuses = store_.statuses(record.id);
    if (entry->statuses.empty()) {
        log::warn("backend {}: unknown to the database; taken from its directory", record.id.str());
        entry->statuses.push_back({.status = Status::scheduled, .time = record.created_at});
        const StatusChange scheduled = entry->statuses.back();
        const auto recorded = co_await acquire(record, scheduled);
        if (!recorded) {
            log::error("backend {}: {}", record.id.str(), with_cause(recorded.error()));
        }
        recorded_->notify_all();
        enter(*entry,
              {.status = ready ? Status::ready : Status::starting, .time = wall_milliseconds()});
    }
    if (entry->status() != Status::terminated) {
        add(entry);
        publish(*entry);
    }
    co_return entry->statuses.back();
}

// No two at the same time, so that whoever sorts them by it keeps their order.
void Registry::enter(Entry& entry, StatusChange change) {
    if (!entry.statuses.empty()) {
        change.time = std::max(change.time, entry.statuses.back().time + 1);
    }
    entry.statuses.push_back(change);
    unrecorded_.add(entry.record.id, change);
}

void Registry::on_exit(const BackendId& id) {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) found->second->activity->close();
}

// Routes first, so that no new request reaches a backend that is ending; then the row; then whoever
// waits.
void Registry::on_event(const BackendEvent& event) {
    const auto found = by_id_.find(event.id);
    if (found == by_id_.end()) return;
    const Ref entry = found->second;
    const BackendRecord& record = entry->record;

    if (!is_live(event.change.status)) entry->activity->close();
    enter(*entry, event.change);
    if (event.failure) entry->failure = event.failure;
    if (event.lost_port) entry->lost_port = true;
    if (event.change.status == Status::ready) entry->ready = event.ready;
    if (event.change.status == Status::ready) {
        entry->activity->touch();
        if (entry->started_at)
            counts_.spawn_to_ready.add(std::chrono::steady_clock::now() - *entry->started_at);
    }
    if (event.change.status == Status::terminated) {
        routes_.remove(record.serial);
        remove(entry);
    } else {
        publish(*entry);
    }
    entry->changed.notify_all();
}

}  // namespace jamsock
