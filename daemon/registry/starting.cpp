// A connect that finds no holder: from the decision to the backend's start. The key is taken in
// memory first, so that whoever asks for it meanwhile waits for what becomes of that; then the row
// is committed; then the backend is started.
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <chrono>

#include "common/clock.h"
#include "common/hints.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "daemon/backends/key_lock.h"
#include "daemon/backends/mark.h"
#include "daemon/backends/step.h"
#include "daemon/log.h"
#include "daemon/random_word.h"
#include "daemon/registry/entry.h"
#include "daemon/registry/registry.h"

namespace jamsock {

namespace {

constexpr std::size_t shortest_id = 5;
constexpr std::size_t longest_id = 45;
constexpr int tries_per_length = 3;
constexpr std::size_t mark_bytes = 16;
constexpr std::uint64_t serial_mask = (std::uint64_t{1} << 48) - 1;

std::uint64_t random_serial() {
    std::uint64_t serial = 0;
    ::randombytes_buf(&serial, sizeof serial);
    return serial & serial_mask;
}

std::string random_mark() {
    unsigned char bytes[mark_bytes];
    ::randombytes_buf(bytes, sizeof bytes);
    char hex[2 * mark_bytes + 1];
    return ::sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
}

// The environment that a backend of this record gets (CONTRACT, What a backend gets).
EnvironmentMap backend_environment(const BackendRecord& record, const std::string& resource_key,
                                   const ConnectRequest& request,
                                   const ServiceDefinition& definition,
                                   const EnvironmentMap& plain) {
    EnvironmentMap environment = request.base_environment.value_or(
        request.command ? EnvironmentMap{} : definition.base_environment);
    if (environment.empty()) environment = plain;
    for (const EnvironmentMap* variables : {&definition.env, &request.env}) {
        for (const auto& [name, value] : *variables)
            environment[name] = value;
    }
    environment["HOST"] = "127.0.0.1";
    environment["PORT"] = std::to_string(record.port);
    environment["SESSION_BACKEND_ID"] = record.id.str();
    environment["SESSION_BACKEND_KEY"] = resource_key;
    environment["SESSION_BACKEND_FENCING_TOKEN"] = std::to_string(record.fencing_token);
    environment["JAMSOCKET_SERVICE"] = record.service.account() + "/" + record.service.service();
    environment["JAMSOCK_MARK"] = record.mark;
    return environment;
}

// In `mounts`: a name that somebody gives is none of those that keys have.
std::string mount_directory(const Mount& mount, const std::string& lock_name) {
    return mount.is_own() ? "keys/" + lock_name : "named/" + mount.path();
}

std::int64_t milliseconds(std::chrono::seconds duration) {
    return std::chrono::milliseconds(duration).count();
}

tl::unexpected<Error> client_left() {
    return fail(ErrorCode::timed_out, "The client left before a backend was started.");
}

}  // namespace

Task<Result<Registry::Held>> Registry::hold(const ServiceName& service,
                                            const ConnectRequest& request,
                                            std::optional<Patience> ready_by, Caller* caller,
                                            int start_number) {
    auto settled = co_await settled_holder(service, request, ready_by, caller);
    if (!settled) co_return pass_on(settled);
    if (const Ref entry = *settled) {
        auto same = check_same_program(*entry, service, request);
        if (!same) co_return pass_on(same);
        co_return Held{entry};
    }
    if (caller && caller->has_left()) co_return client_left();
    auto started = co_await spawn(service, request, start_number);
    if (!started) co_return pass_on(started);
    co_return Held{*started, true};
}

// Whoever has the key, once it is no longer on its way to having it or, for a request that would
// start another one, to its end. Null: nobody.
Task<Result<Registry::Ref>> Registry::settled_holder(const ServiceName& service,
                                                     const ConnectRequest& request,
                                                     std::optional<Patience> ready_by,
                                                     Caller* caller) {
    Ref entry = holder(service, request.key);
    const auto is_in_between = [&] {
        return entry && (entry->is_acquiring || (is_ending(entry->status()) && request.spawn));
    };
    while (is_in_between()) {
        Result<> settled;
        if (entry->is_acquiring) {
            settled = co_await wait_until_acquired(entry, caller);
        } else {
            settled = co_await wait_until_free(entry, ready_by, caller);
        }
        if (!settled) co_return pass_on(settled);
        entry = holder(service, request.key);
    }
    co_return entry;
}

Task<Result<>> Registry::wait_until_acquired(const Ref& entry, Caller* caller) {
    const Patience limit(never, caller);
    bool may_come = true;
    while (entry->is_acquiring && may_come && !stopping_)
        may_come = co_await limit.wait_for(entry->changed);
    if (!may_come) co_return client_left();
    if (stopping_) co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
    if (entry->refusal) co_return tl::unexpected(*entry->refusal);
    co_return Result<>();
}

Task<Result<>> Registry::wait_until_free(const Ref& entry, std::optional<Patience> ready_by,
                                         Caller* caller) {
    const Deadline end_by =
        entry->end_by.value_or(after(entry->record.limits.grace + timeouts::ending_margin));
    const Patience limit(ready_by ? std::min(end_by, ready_by->until) : end_by, caller);
    const bool ended = co_await wait_until_ended(entry, limit);
    if (!ended) co_return tl::unexpected(still_ending(*entry));
    co_return Result<>();
}

Task<Result<Registry::Ref>> Registry::spawn(const ServiceName& service,
                                            const ConnectRequest& request, int start_number) {
    auto definition = services_.definition(service);
    if (!definition) co_return pass_on(definition);
    if (!request.spawn) {
        co_return fail(ErrorCode::key_unheld_no_spawn_config,
                       fmt::format("No backend holds the key {}.", in_quotes(request.key->str())),
                       key_command("connect", service, *request.key));
    }
    const std::string resource_key = request.key ? request.key->str() : random_mark();
    auto made = new_entry(service, request, *definition, resource_key);
    if (!made) co_return pass_on(made);
    const Ref entry = *made;
    entry->start_number = start_number;
    const StatusChange scheduled = entry->statuses.front();
    add(entry);
    const Result<> acquired = co_await acquire(entry->record, scheduled);
    entry->is_acquiring = false;
    if (!acquired) {
        refuse(entry, acquired.error());
        co_return tl::unexpected(acquired.error());
    }
    at_step(Step::row_committed);
    recorded_->notify_all();
    if (stopping_) {  // its row says what the next daemon finds: nothing was started
        co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
    }
    publish(*entry);
    begin(*entry, start_settings(entry->record, resource_key, request, *definition));
    entry->changed.notify_all();
    co_return entry;
}

// What is to start, with all that has to be had before its row is written.
Result<Registry::Ref> Registry::new_entry(const ServiceName& service, const ConnectRequest& request,
                                          const ServiceDefinition& definition,
                                          const std::string& resource_key) {
    if (auto possible = backends_.can_limit(request.resources); !possible) return pass_on(possible);
    if (auto room = backends_.check_room(acquiring_); !room) return pass_on(room);
    auto port = ports_.pick();
    if (!port) {
        return fail(ErrorCode::usage_limit, "No TCP port is free for another backend.",
                    "jamsock list");
    }
    auto record = new_record(service, request, definition, resource_key, *port);
    if (!record) return pass_on(record);
    auto entry = std::make_shared<Entry>(*record, settings_.now);
    entry->is_acquiring = true;
    entry->started_at = std::chrono::steady_clock::now();
    entry->statuses.push_back({.status = Status::scheduled, .time = record->created_at});
    return entry;
}

// A holder that only the database knows of, by a row that makes no sense or that was never told of
// its end, can't be waited for; whether it lives, the key's lock tells.
Task<Result<>> Registry::acquire(const BackendRecord& record,
                                 const StatusChange& scheduled) {
    const struct Counted {
        explicit Counted(std::size_t& among) : count(++among) {}
        Counted(const Counted&) = delete;
        ~Counted() { --count; }
        std::size_t& count;
    } counted(acquiring_);
    Result<> acquired = co_await unrecorded_.catch_up();
    if (!acquired) co_return acquired;
    acquired = co_await writer_.acquire_key(record, scheduled);
    const bool is_held = !acquired && acquired.error().code == ErrorCode::conflict;
    if (!is_held || !record.key) co_return acquired;
    const auto recorded = store_.recorded_holder(record.service, *record.key);
    const auto id = BackendId::parse(recorded.value_or(""));
    if (!recorded || (id && by_id_.contains(*id))) co_return acquired;
    log::error("backend {}: the key {} is held by the backend {} in the database alone; given up",
               record.id.str(), in_quotes(record.key->str()), in_quotes(*recorded));
    acquired = co_await writer_.give_up_holder(*recorded);
    if (!acquired) co_return acquired;
    acquired = co_await writer_.acquire_key(record, scheduled);
    co_return acquired;
}

void Registry::refuse(const Ref& entry, const Error& why) {
    entry->refusal = why;
    entry->statuses.push_back({.status = Status::terminated, .time = wall_milliseconds()});
    remove(entry);
    entry->changed.notify_all();
}

void Registry::begin(const Entry& entry, const StartSettings& settings) {
    const BackendRecord& record = entry.record;
    log::info("backend {}: scheduled for the key {}, fencing token {}", record.id.str(),
              record.key ? in_quotes(record.key->str()) : "none", record.fencing_token);
    if (entry.start_number > 1) {
        log::info("backend {}: start {} of {}, as the port of the one before was taken",
                  record.id.str(), entry.start_number, most_starts);
    }
    backends_.start(record, settings);
    if (entry.wanted_end) backends_.terminate(record.id, *entry.wanted_end);
}

StartSettings Registry::start_settings(const BackendRecord& record, const std::string& resource_key,
                                       const ConnectRequest& request,
                                       const ServiceDefinition& definition) const {
    StartSettings start{.environment = backend_environment(record, resource_key, request,
                                                           definition, settings_.plain_environment),
                        .resources = request.resources};
    if (request.mount) {
        start.mount = mount_directory(*request.mount, record.lock_name);
        start.environment["JAMSOCK_MOUNT"] = settings_.mounts + "/" + *start.mount;
    }
    return start;
}

Result<BackendRecord> Registry::new_record(const ServiceName& service,
                                           const ConnectRequest& request,
                                           const ServiceDefinition& definition,
                                           const std::string& resource_key, std::uint16_t port) {
    const auto& command = request.command ? request.command : definition.command;
    if (!command) {
        return fail_openly(ErrorCode::spawn_failed,
                           fmt::format("The service {} has no command to run; give it one with: {}",
                                       in_quotes(service.str()), give_command(service)),
                           give_command(service));
    }
    const std::string lock_name = key_lock::file_name(service, resource_key);
    const std::int64_t now = wall_milliseconds();
    auto seen_token = backends_.recorded_token(lock_name);
    if (!seen_token) return pass_on(seen_token);
    const std::int64_t highest_token =
        std::max({store_.last_fencing_token(lock_name), *seen_token, now});
    const LifeLimits limits(request.limits.over(definition.limits));
    std::optional<std::int64_t> expires_at_boot;
    if (limits.lifetime)
        expires_at_boot = milliseconds_since_boot(settings_.now()) + milliseconds(*limits.lifetime);
    return BackendRecord{.id = new_id(),
                         .serial = random_serial(),
                         .mac_key = MacKey::generate(),
                         .service = service,
                         .key = request.key,
                         .lock_name = lock_name,
                         .mark = mark_for(settings_.state_directory, random_mark()),
                         .fencing_token = highest_token + 1,
                         .created_at = now,
                         .tag = request.tag,
                         .command = *command,
                         .port = port,
                         .limits = limits,
                         .readiness = definition.readiness,
                         .allow_origins = definition.allow_origins.value_or(OriginRule::any),
                         .expires_at_boot = expires_at_boot};
}

BackendId Registry::new_id() const {
    for (std::size_t length = shortest_id;; length = std::min(length + 1, longest_id)) {
        for (int tries = 0; tries < tries_per_length; ++tries) {
            const BackendId id = BackendId::parse(random_word(length)).value();
            if (!by_id_.contains(id) && !store_.find_backend(id)) return id;
        }
    }
}

}  // namespace jamsock
