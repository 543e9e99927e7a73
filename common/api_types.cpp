#include "common/api_types.h"

#include <fmt/format.h>

#include <array>

#include "common/clock.h"
#include "common/json_fields.h"
#include "common/text.h"

namespace jamsock {

namespace {

using namespace json;

constexpr std::string_view cluster = "local";  // the one there is
constexpr int signal_exit_base = 128;  // a shell's exit code for "killed by signal n" is 128 + n

void refuse_unsupported(const Json& object, const char* field, std::string_view what) {
    if (!find(object, field)) return;
    throw BadField{
        {ErrorCode::unsupported,
         fmt::format("{} can't be set in this version (field {}).", what, in_quotes(field)),
         {},
         {}}};
}

struct ResourceField {
    const char* name;
    LimitRange range;
    std::optional<std::int64_t> ResourceLimits::*limit;
};

constexpr std::array resource_fields{
    ResourceField{"cpu_period", limit_range::cpu_period, &ResourceLimits::cpu_period},
    ResourceField{"cpu_period_percent", limit_range::cpu_percent, &ResourceLimits::cpu_percent},
    ResourceField{"cpu_time_limit", limit_range::cpu_time, &ResourceLimits::cpu_time},
    ResourceField{"memory_limit_bytes", limit_range::memory, &ResourceLimits::memory},
};

ResourceLimits resource_limits_in(const Json& object) {
    if (!object.is_object()) bad_field("spawn.executable.resource_limits", "an object");
    allow_only(object,
               {"cpu_period", "cpu_period_percent", "cpu_time_limit", "memory_limit_bytes",
                "disk_limit_bytes"},
               "The field 'spawn.executable.resource_limits'");
    refuse_unsupported(object, "disk_limit_bytes", "A limit on disk space");
    ResourceLimits limits;
    for (const ResourceField& field : resource_fields) {
        limits.*field.limit =
            number_between(object, field.name, field.range.least, field.range.most);
    }
    const auto quota = limits.cpu_quota();
    if (quota && *quota < limit_range::least_cpu_quota) {
        bad_field("cpu_period_percent", "1000 microseconds of each 'cpu_period' or more");
    }
    return limits;
}

Json resource_limits_json(const ResourceLimits& limits) {
    Json json = Json::object();
    for (const ResourceField& field : resource_fields) {
        if (const auto& limit = limits.*field.limit) json[field.name] = *limit;
    }
    return json;
}

std::optional<Mount> mount_in(const Json& executable) {
    const Json* mount = find(executable, "mount");
    if (!mount || *mount == false) return std::nullopt;
    if (*mount == true) return Mount::own();
    if (!mount->is_string()) bad_field("spawn.executable.mount", "true, false or a string");
    return value_of(Mount::parse(mount->get<std::string>()));
}

// What only containers have; Jamsocket's API takes it.
void refuse_container_settings(const Json& executable) {
    for (const char* field : {"image", "pull_policy", "credentials", "network_name"})
        refuse_unsupported(executable, field, "What belongs to a container");
}

void read_executable(const Json& executable, ConnectRequest& request) {
    if (!executable.is_object()) bad_field("spawn.executable", "an object");
    refuse_container_settings(executable);
    allow_only(executable, {"env", "command", "cwd", "base_env", "mount", "resource_limits"},
               "The field 'spawn.executable'");
    if (const Json* limits = find(executable, "resource_limits")) {
        request.resources = resource_limits_in(*limits);
    }
    request.mount = mount_in(executable);
    if (const Json* env = find(executable, "env")) {
        request.env = variables(*env, "spawn.executable.env");
    }
    if (const Json* argv = find(executable, "command")) {
        request.command =
            Command{strings(*argv, "spawn.executable.command"),
                    plain_text(executable, "cwd", "spawn.executable.cwd").value_or("")};
        if (request.command->argv.empty()) bad_field("spawn.executable.command", "not empty");
    } else if (find(executable, "cwd")) {
        bad_field("spawn.executable.cwd", "given together with a 'command'");
    }
    if (const Json* base = find(executable, "base_env")) {
        request.base_environment = variables(*base, "spawn.executable.base_env");
    }
}

void read_spawn(const Json& spawn, ConnectRequest& request) {
    if (spawn.is_boolean()) {
        request.spawn = spawn.get<bool>();
        return;
    }
    if (!spawn.is_object()) bad_field("spawn", "true, false or an object");
    request.limits.max_idle = number_between(spawn, "max_idle_seconds", limit_range::max_idle.least,
                                             limit_range::max_idle.most);
    request.limits.lifetime = number_between(
        spawn, "lifetime_limit_seconds", limit_range::lifetime.least, limit_range::lifetime.most);
    request.tag = plain_text(spawn, "tag", "spawn.tag");
    const auto wanted = plain_text(spawn, "cluster", "spawn.cluster");
    if (wanted && *wanted != cluster) bad_field("spawn.cluster", in_quotes(cluster));
    if (const Json* executable = find(spawn, "executable")) read_executable(*executable, request);
}

Json to_json(const StatusChange& change) {
    Json json{{"status", word(change.status)}, {"time", iso_time(change.time)}};
    if (change.reason) json["termination_reason"] = word(*change.reason);
    if (change.kind) json["termination_kind"] = word(*change.kind);
    return json;
}

Json to_full_json(const StatusChange& change) {
    Json json = to_json(change);
    if (change.cause) json["termination_cause"] = word(*change.cause);
    if (change.diagnosis) json["diagnosis"] = *change.diagnosis;
    if (!change.exit) return json;
    json["exit_code"] =
        change.exit->code ? *change.exit->code : signal_exit_base + *change.exit->signal;
    if (change.exit->signal) json["exit_signal"] = *change.exit->signal;
    return json;
}

Status status_in(const Json& object) {
    const auto status = status_from_word(required_text(object, "status"));
    if (!status) bad_field("status", "a backend's status");
    return *status;
}

StatusChange read_change(const Json& json) {
    StatusChange change{.status = status_in(json), .time = time(json, "time")};
    if (auto reason = text(json, "termination_reason")) change.reason = reason_from_word(*reason);
    if (auto kind = text(json, "termination_kind")) change.kind = kind_from_word(*kind);
    if (auto cause = text(json, "termination_cause")) change.cause = cause_from_word(*cause);
    change.diagnosis = text(json, "diagnosis");
    if (auto signal = number(json, "exit_signal")) {
        change.exit = ProcessExit{std::nullopt, static_cast<int>(*signal)};
    } else if (auto code = number(json, "exit_code")) {
        change.exit = ProcessExit{static_cast<int>(*code), std::nullopt};
    }
    return change;
}

std::optional<Key> key_in(const Json& json) {
    const auto key = text(json, "key");
    if (!key) return std::nullopt;
    return value_of(Key::parse(*key));
}

BackendId id_in(const Json& json, const char* field) {
    return value_of(BackendId::parse(required_text(json, field)));
}

const Json& array_in(const Json& json, const char* field) {
    const Json* array = find(json, field);
    if (!array || !array->is_array()) bad_field(field, "an array");
    return *array;
}

// As text: numbers of JavaScript lose their last digits.
std::int64_t cursor_in(const Json& json) {
    long long cursor = 0;
    if (!parse_number(required_text(json, "cursor"), cursor)) bad_field("cursor", "a number");
    return cursor;
}

Json to_json(const StatusEvent& event) {
    Json json{{"cursor", std::to_string(event.cursor)},
              {"backend_id", event.backend_id.str()},
              {"service_name", event.service.service()},
              {"environment_name", event.service.environment()}};
    if (event.key) json["key"] = event.key->str();
    json.update(to_full_json(event.change));
    return json;
}

StatusEvent event_in(const Json& json) {
    return {.cursor = cursor_in(json),
            .backend_id = id_in(json, "backend_id"),
            .service = service_name(json),
            .key = key_in(json),
            .change = read_change(json)};
}

Json to_json(const HistoryEntry& entry) {
    Json json{{"id", entry.id.str()},
              {"created_at", iso_time(entry.created_at)},
              {"service_name", entry.service.service()},
              {"environment_name", entry.service.environment()},
              {"key", entry.key.str()},
              {"status", to_full_json(entry.status)}};
    if (entry.ready_at) json["ready_at"] = iso_time(*entry.ready_at);
    return json;
}

Json to_json(const BackendInfo& backend) {
    const auto& statuses = backend.statuses;
    Json changes = Json::array();
    for (const StatusChange& change : statuses)
        changes.push_back(to_full_json(change));
    if (statuses.size() > 1 && statuses.back().status == Status::terminated) {
        changes.back()["last_status"] = word(statuses[statuses.size() - 2].status);
    }
    Json json{{"id", backend.id.str()},
              {"created_at", iso_time(backend.created_at)},
              {"service_name", backend.service.service()},
              {"cluster_name", cluster},
              {"account_name", backend.service.account()},
              {"environment_name", backend.service.environment()},
              {"image_digest", ""},
              {"statuses", std::move(changes)},
              {"command", backend.command.argv},
              {"cwd", backend.command.cwd},
              {"port", backend.port},
              {"fencing_token", backend.fencing_token},
              {"connections", backend.connections},
              {"idle_seconds", backend.idle_seconds},
              {"max_idle_seconds", backend.max_idle_seconds}};
    if (backend.expires_at) json["expires_at"] = iso_time(*backend.expires_at);
    if (backend.dropped_log_bytes > 0) json["dropped_log_bytes"] = backend.dropped_log_bytes;
    if (backend.key) json["key"] = backend.key->str();
    if (backend.pid) json["pid"] = *backend.pid;
    if (backend.note) json["note"] = *backend.note;
    return json;
}

HistoryEntry history_entry_in(const Json& json) {
    const Json* status = find(json, "status");
    if (!status || !status->is_object()) bad_field("status", "an object");
    HistoryEntry entry{.id = id_in(json, "id"),
                       .service = service_name(json),
                       .key = value_of(Key::parse(required_text(json, "key"))),
                       .created_at = time(json, "created_at"),
                       .status = read_change(*status)};
    if (find(json, "ready_at")) entry.ready_at = time(json, "ready_at");
    return entry;
}

}  // namespace

Result<ConnectRequest> ConnectRequest::from_json(std::string_view json) {
    return read<ConnectRequest>(json, [](const Json& object) {
        ConnectRequest request;
        request.key = key_in(object);
        if (const Json* spawn = find(object, "spawn")) read_spawn(*spawn, request);
        request.user = text(object, "user");
        if (const Json* auth = find(object, "auth")) {
            if (!auth->is_object()) bad_field("auth", "an object");
            request.auth = auth->dump(-1, ' ', /*ensure_ascii=*/true);
        }
        if (!request.spawn && !request.key) {
            throw BadField{{ErrorCode::invalid_request,
                            "A look-up ('spawn' false) needs a 'key' to look up.",
                            {},
                            {}}};
        }
        return request;
    });
}

std::string ConnectRequest::to_json() const {
    Json json = Json::object();
    if (key) json["key"] = key->str();
    if (user) json["user"] = *user;
    if (auth) json["auth"] = Json::parse(*auth);
    Json executable = Json::object();
    if (!env.empty()) executable["env"] = env;
    if (command) {
        executable["command"] = command->argv;
        executable["cwd"] = command->cwd;
    }
    if (base_environment) executable["base_env"] = *base_environment;
    if (resources != ResourceLimits{}) {
        executable["resource_limits"] = resource_limits_json(resources);
    }
    if (mount) executable["mount"] = mount->is_own() ? Json(true) : Json(mount->path());
    Json spawn_options = Json::object();
    if (tag) spawn_options["tag"] = *tag;
    if (limits.max_idle) spawn_options["max_idle_seconds"] = *limits.max_idle;
    if (limits.lifetime) spawn_options["lifetime_limit_seconds"] = *limits.lifetime;
    if (!executable.empty()) spawn_options["executable"] = executable;
    if (!spawn) {
        json["spawn"] = false;
    } else if (!spawn_options.empty()) {
        json["spawn"] = spawn_options;
    }
    return dump(json);
}

Result<ConnectResponse> ConnectResponse::from_json(std::string_view json) {
    return read<ConnectResponse>(json, [](const Json& object) {
        return ConnectResponse{.backend_id = id_in(object, "backend_id"),
                               .spawned = boolean(object, "spawned").value_or(false),
                               .status = status_in(object),
                               .token = required_text(object, "token"),
                               .url = required_text(object, "url"),
                               .secret_token = required_text(object, "secret_token"),
                               .status_url = required_text(object, "status_url"),
                               .ready_url = required_text(object, "ready_url")};
    });
}

// Written by hand, as the one answer that many wait for: no text in it has anything to escape.
std::string ConnectResponse::to_json() const {
    return fmt::format(R"({{"backend_id":"{}","spawned":{},"status":"{}","token":"{}","url":"{}",)"
                       R"("secret_token":"{}","status_url":"{}","ready_url":"{}"}})",
                       backend_id.str(), spawned, word(status), token, url, secret_token,
                       status_url, ready_url);
}

Result<KeyList> KeyList::from_json(std::string_view json) {
    return read<KeyList>(json, [](const Json& object) {
        KeyList list;
        for (const Json& entry : array_in(object, "keys")) {
            list.keys.push_back(KeyEntry{
                .key = key_in(entry),
                .service = service_name(entry),
                .backend_id = id_in(entry, "backend_id"),
                .status = status_in(entry),
                .fencing_token = number(entry, "fencing_token").value_or(0),
                .created_at = time(entry, "created_at"),
                .connections = static_cast<std::uint32_t>(number(entry, "connections").value_or(0)),
                .idle_seconds = number(entry, "idle_seconds").value_or(0),
                .max_idle_seconds = number(entry, "max_idle_seconds").value_or(0),
                .memory_used = number(entry, "mem_used")});
        }
        list.next_cursor = text(object, "next_cursor");
        return list;
    });
}

std::string KeyList::to_json() const {
    Json list = Json::array();
    for (const KeyEntry& entry : keys) {
        Json json = Json::object();
        if (entry.key) json["key"] = entry.key->str();
        json["service_name"] = entry.service.service();
        json["environment_name"] = entry.service.environment();
        json["backend_id"] = entry.backend_id.str();
        json["status"] = word(entry.status);
        json["fencing_token"] = entry.fencing_token;
        json["created_at"] = iso_time(entry.created_at);
        json["connections"] = entry.connections;
        json["idle_seconds"] = entry.idle_seconds;
        json["max_idle_seconds"] = entry.max_idle_seconds;
        if (entry.memory_used) json["mem_used"] = *entry.memory_used;
        list.push_back(std::move(json));
    }
    Json json{{"keys", std::move(list)}};
    if (next_cursor) json["next_cursor"] = *next_cursor;
    return dump(json);
}

std::string RunningBackends::to_json() const {
    Json list = Json::array();
    for (const RunningBackend& backend : backends) {
        Json json{{"id", backend.id.str()},
                  {"created_at", iso_time(backend.created_at)},
                  {"service_name", backend.service.service()},
                  {"cluster_name", cluster},
                  {"account_name", backend.service.account()},
                  {"status", to_full_json(backend.status)}};
        if (backend.key) json["key"] = backend.key->str();
        list.push_back(std::move(json));
    }
    return dump({{"running_backends", std::move(list)}});
}

Result<BackendInfo> BackendInfo::from_json(std::string_view json) {
    return read<BackendInfo>(json, [](const Json& object) {
        BackendInfo info{.id = id_in(object, "id"), .service = service_name(object)};
        info.key = key_in(object);
        info.created_at = time(object, "created_at");
        for (const Json& change : array_in(object, "statuses"))
            info.statuses.push_back(read_change(change));
        if (const Json* argv = find(object, "command"))
            info.command.argv = strings(*argv, "command");
        info.command.cwd = text(object, "cwd").value_or("");
        info.fencing_token = number(object, "fencing_token").value_or(0);
        info.port = static_cast<std::uint16_t>(number(object, "port").value_or(0));
        if (auto pid = number(object, "pid")) info.pid = static_cast<int>(*pid);
        info.connections = static_cast<std::uint32_t>(number(object, "connections").value_or(0));
        info.idle_seconds = number(object, "idle_seconds").value_or(0);
        info.max_idle_seconds = number(object, "max_idle_seconds").value_or(0);
        if (find(object, "expires_at")) info.expires_at = json::time(object, "expires_at");
        info.note = text(object, "note");
        info.dropped_log_bytes =
            static_cast<std::uint64_t>(number(object, "dropped_log_bytes").value_or(0));
        return info;
    });
}

std::string BackendInfo::to_json() const {
    return dump(jamsock::to_json(*this));
}

std::string PostMortem::to_json() const {
    Json json{{"backend", jamsock::to_json(backend)}, {"verdict", verdict}};
    if (ended_by) json["ended_by"] = *ended_by;
    json["lived_ms"] = lived;
    if (ready_after) json["ready_after_ms"] = *ready_after;
    if (diagnosis) json["diagnosis"] = *diagnosis;
    json["log_tail"] = log_tail;
    json["next_step"] = next_step;
    return dump(json);
}

std::string StatusEvent::to_json() const {
    return dump(jamsock::to_json(*this));
}

Result<EventList> EventList::from_json(std::string_view json) {
    return read<EventList>(json, [](const Json& object) {
        EventList list{.cursor = cursor_in(object)};
        for (const Json& event : array_in(object, "events"))
            list.events.push_back(event_in(event));
        return list;
    });
}

std::string EventList::to_json() const {
    Json list = Json::array();
    for (const StatusEvent& event : events)
        list.push_back(jamsock::to_json(event));
    return dump({{"events", std::move(list)}, {"cursor", std::to_string(cursor)}});
}

std::int64_t HistoryEntry::lived(std::int64_t now) const {
    const std::int64_t end = status.status == Status::terminated ? status.time : now;
    return std::max<std::int64_t>(0, end - created_at);
}

std::optional<std::int64_t> HistoryEntry::ready_after() const {
    if (!ready_at) return std::nullopt;
    return std::max<std::int64_t>(0, *ready_at - created_at);
}

Result<KeyHistory> KeyHistory::from_json(std::string_view json) {
    return read<KeyHistory>(json, [](const Json& object) {
        KeyHistory history;
        for (const Json& entry : array_in(object, "backends"))
            history.backends.push_back(history_entry_in(entry));
        return history;
    });
}

std::string KeyHistory::to_json() const {
    Json list = Json::array();
    for (const HistoryEntry& entry : backends)
        list.push_back(jamsock::to_json(entry));
    return dump({{"backends", std::move(list)}});
}

std::optional<std::string> public_status_json(const StatusChange& change) {
    const bool is_ending =
        change.status == Status::terminating || change.status == Status::hard_terminating;
    if (is_ending && !change.reason) return std::nullopt;
    Json json = to_json(change);
    if (change.exit) json["exit_error"] = change.exit->code != 0;
    return dump(json);
}

Result<StatusChange> public_status_from_json(std::string_view json) {
    return read<StatusChange>(json, [](const Json& object) { return read_change(object); });
}

Result<TerminateRequest> TerminateRequest::from_json(std::string_view json) {
    return read<TerminateRequest>(json, [](const Json& object) {
        TerminateRequest request;
        if (boolean(object, "hard").value_or(false)) request.kind = TerminationKind::hard;
        request.grace_seconds = number_between(object, "grace_seconds", limit_range::grace.least,
                                               limit_range::grace.most);
        return request;
    });
}

std::string TerminateRequest::to_json() const {
    Json json{{"hard", kind == TerminationKind::hard}};
    if (grace_seconds) json["grace_seconds"] = *grace_seconds;
    return dump(json);
}

Result<TerminateBackendsRequest> TerminateBackendsRequest::from_json(std::string_view json) {
    return read<TerminateBackendsRequest>(json, [](const Json& object) {
        const bool hard = boolean(object, "hard").value_or(false);
        return TerminateBackendsRequest{
            .before = time(object, "before"),
            .kind = hard ? TerminationKind::hard : TerminationKind::soft,
            .dry_run = boolean(object, "dry_run").value_or(false)};
    });
}

std::string TerminateBackendsResponse::to_json() const {
    return dump({{"backend_count", found},
                 {"terminated_count", terminated},
                 {"is_complete", terminated == found}});
}

Result<RevokeRequest> RevokeRequest::from_json(std::string_view json) {
    return read<RevokeRequest>(json, [](const Json& object) {
        allow_only(object, {"user", "token", "close"}, "A revocation");
        auto user = text(object, "user");
        auto token = text(object, "token");
        if (user.has_value() == token.has_value()) {
            throw BadField{{ErrorCode::invalid_request,
                            "A revocation needs a 'user' or a 'token', and not both.",
                            {},
                            {}}};
        }
        return RevokeRequest{.by = user ? By::user : By::token,
                             .value = user ? std::move(*user) : std::move(*token),
                             .close = boolean(object, "close").value_or(false)};
    });
}

std::string RevokeRequest::to_json() const {
    Json json{{by == By::user ? "user" : "token", value}};
    if (close) json["close"] = true;
    return dump(json);
}

Result<RevokeResponse> RevokeResponse::from_json(std::string_view json) {
    return read<RevokeResponse>(json, [](const Json& object) {
        return RevokeResponse{static_cast<std::size_t>(number(object, "revoked").value_or(0))};
    });
}

std::string RevokeResponse::to_json() const {
    return dump({{"status", "ok"}, {"revoked", revoked}});
}

std::string BackendMetrics::to_json() const {
    return dump({{"cluster", "local"},
                 {"backend_id", backend_id.str()},
                 {"mem_used", memory_used},
                 {"mem_available", std::max<std::uint64_t>(memory_available, 1)},
                 {"cpu_used", cpu_used},
                 {"sys_cpu", system_cpu}});
}

Result<VersionInfo> VersionInfo::from_json(std::string_view json) {
    return read<VersionInfo>(json, [](const Json& object) {
        return VersionInfo{
            .version = required_text(object, "version"),
            .pid = static_cast<int>(number(object, "pid").value_or(0)),
            .started_at = time(object, "started_at"),
            .proxy_port = static_cast<std::uint16_t>(number(object, "proxy_port").value_or(0)),
            .api_port = static_cast<std::uint16_t>(number(object, "api_port").value_or(0)),
            .backends = static_cast<std::size_t>(number(object, "backends").value_or(0)),
            .dev = boolean(object, "dev").value_or(false)};
    });
}

std::string VersionInfo::to_json() const {
    return dump({{"version", version},
                 {"pid", pid},
                 {"started_at", iso_time(started_at)},
                 {"proxy_port", proxy_port},
                 {"api_port", api_port},
                 {"backends", backends},
                 {"dev", dev}});
}

std::string environment_json(const EnvironmentMap& variables) {
    return dump(variables);
}

bool is_whole_json(std::string_view text) {
    return Json::accept(text);
}

std::string ok_json() {
    return dump({{"status", "ok"}});
}

std::string auth_json() {
    return dump(
        {{"status", "ok"}, {"accounts", {ServiceName::local_account}}, {"is_admin", false}});
}

std::string error_json(const Error& error, std::string_view request_id) {
    return error_json(error, request_id, info(error.code).http_status);
}

std::string error_json(const Error& error, std::string_view request_id, int http_status) {
    Json json{{"message", error.message},
              {"status", http_reason(http_status)},
              {"code", info(error.code).name},
              {"id", request_id}};
    if (!error.hint.empty()) json["hint"] = error.hint;
    if (!error.log_tail.empty()) json["log_tail"] = error.log_tail;
    return dump({{"error", std::move(json)}});
}

Error error_from_json(std::string_view json, int http_status) {
    const auto parsed = read<Error>(json, [](const Json& object) {
        const Json* error = find(object, "error");
        if (!error || !error->is_object()) bad_field("error", "an object");
        Error read_error{error_code_from_name(required_text(*error, "code")),
                         required_text(*error, "message"),
                         text(*error, "hint").value_or(""),
                         {}};
        if (const Json* lines = find(*error, "log_tail")) {
            read_error.log_tail = strings(*lines, "log_tail");
        }
        return read_error;
    });
    if (parsed) return *parsed;
    return Error{ErrorCode::internal,
                 fmt::format("The daemon answered with HTTP status {} and no reason.", http_status),
                 "jamsock daemon logs",
                 {}};
}

}  // namespace jamsock
