#include "daemon/store/rows.h"

#include <algorithm>

#include "common/text.h"
#include "daemon/log.h"

namespace jamsock::rows {

namespace {

// Nothing for a text that is no key.
std::optional<std::optional<Key>> key_in(const SQLite::Statement& row, int index) {
    const auto text = column<std::string>(row, index);
    if (!text) return std::optional<Key>();
    auto key = Key::parse(*text);
    if (!key) return std::nullopt;
    return std::optional<Key>(std::move(*key));
}

std::vector<std::string> split(std::string_view bytes) {
    std::vector<std::string> argv;
    while (!bytes.empty()) {
        const auto end = std::min(bytes.find('\0'), bytes.size());
        argv.emplace_back(bytes.substr(0, end));
        bytes.remove_prefix(std::min(end + 1, bytes.size()));
    }
    return argv;
}

EnvironmentMap split_variables(std::string_view bytes) {
    EnvironmentMap variables;
    for (const std::string& entry : split(bytes)) {
        const auto equals = std::min(entry.find('='), entry.size());
        variables.emplace(entry.substr(0, equals),
                          entry.substr(std::min(equals + 1, entry.size())));
    }
    return variables;
}

Limits limits_in(const SQLite::Statement& row, int first) {
    return {column<std::int64_t>(row, first), column<std::int64_t>(row, first + 1),
            column<std::int64_t>(row, first + 2), column<std::int64_t>(row, first + 3)};
}

ReadinessRule readiness_in(const SQLite::Statement& row, int first) {
    ReadinessRule rule{.listen_fd = column<bool>(row, first + 2),
                       .port_owner = column<PortRule>(row, first + 3)};
    const auto kind = column<ReadySign::Kind>(row, first);
    if (kind) rule.sign = ReadySign::from_stored(*kind, row.getColumn(first + 1).getString());
    return rule;
}

}  // namespace

std::string joined(const std::vector<std::string>& argv) {
    std::string bytes;
    for (const std::string& argument : argv)
        bytes += argument + '\0';
    return bytes;
}

std::string joined(const EnvironmentMap& variables) {
    std::string bytes;
    for (const auto& [name, value] : variables)
        bytes += name + '=' + value + '\0';
    return bytes;
}

void bind_bytes(SQLite::Statement& statement, int index, const std::string& bytes) {
    statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

void bind_limits(SQLite::Statement& statement, int first, const Limits& limits) {
    for (const auto& limit : {limits.max_idle, limits.lifetime, limits.grace, limits.startup})
        bind_optional(statement, first++, limit);
}

void bind_readiness(SQLite::Statement& statement, int first, const ReadinessRule& rule) {
    if (rule.sign) {
        statement.bind(first, static_cast<int>(rule.sign->kind()));
        statement.bind(first + 1, rule.sign->text());
    }
    bind_optional(statement, first + 2, rule.listen_fd);
    bind_optional(statement, first + 3, as_number(rule.port_owner));
}

std::optional<BackendRecord> backend_in(const SQLite::Statement& row) {
    const auto id = BackendId::parse(row.getColumn(0).getString());
    const auto mac_key = MacKey::from_bytes(row.getColumn(2).getString());
    const auto service = ServiceName::parse(
        row.getColumn(3).getString(), row.getColumn(4).getString(), row.getColumn(5).getString());
    const auto key = key_in(row, 6);
    auto argv = split(row.getColumn(12).getString());
    if (!id || !mac_key || !service || argv.empty() || !key) {
        log::error("store: the row of the backend {} makes no sense",
                   in_quotes(row.getColumn(0).getString()));
        return std::nullopt;
    }
    BackendRecord record{.id = *id,
                         .serial = static_cast<std::uint64_t>(row.getColumn(1).getInt64()),
                         .mac_key = *mac_key,
                         .service = *service,
                         .lock_name = row.getColumn(7).getString(),
                         .mark = row.getColumn(8).getString(),
                         .fencing_token = row.getColumn(9).getInt64(),
                         .created_at = row.getColumn(10).getInt64(),
                         .tag = column<std::string>(row, 11),
                         .command = Command{std::move(argv), row.getColumn(13).getString()},
                         .port = static_cast<std::uint16_t>(row.getColumn(14).getInt()),
                         .limits = LifeLimits(limits_in(row, 15)),
                         .readiness = readiness_in(row, 20),
                         .allow_origins = column<OriginRule>(row, 24).value_or(OriginRule::any),
                         .expires_at_boot = column<std::int64_t>(row, 19)};
    record.key = *key;
    return record;
}

std::optional<Store::ServiceRow> service_in(const SQLite::Statement& row) {
    auto name = ServiceName::parse(row.getColumn(0).getString(), row.getColumn(1).getString(),
                                   row.getColumn(2).getString());
    if (!name) {
        log::error("store: the row of the service {} makes no sense",
                   in_quotes(row.getColumn(1).getString()));
        return std::nullopt;
    }
    Store::ServiceRow service{.name = std::move(*name), .created_at = row.getColumn(3).getInt64()};
    if (!row.getColumn(4).isNull()) {
        service.definition.command =
            Command{split(row.getColumn(4).getString()), row.getColumn(5).getString()};
    }
    service.definition.base_environment = split_variables(row.getColumn(6).getString());
    service.definition.env = split_variables(row.getColumn(7).getString());
    service.definition.limits = limits_in(row, 8);
    service.definition.readiness = readiness_in(row, 12);
    service.definition.allow_origins = column<OriginRule>(row, 16);
    return service;
}

std::optional<StatusEvent> event_in(const SQLite::Statement& row) {
    const auto id = BackendId::parse(row.getColumn(1).getString());
    const auto key = key_in(row, 2);
    const auto service = ServiceName::parse(
        row.getColumn(3).getString(), row.getColumn(4).getString(), row.getColumn(5).getString());
    if (!id || !key || !service) {
        log::error("store: the row of the event {}, of the backend {}, makes no sense",
                   row.getColumn(0).getInt64(), in_quotes(row.getColumn(1).getString()));
        return std::nullopt;
    }
    return StatusEvent{.cursor = row.getColumn(0).getInt64(),
                       .backend_id = *id,
                       .service = *service,
                       .key = *key,
                       .change = status_in(row, 6)};
}

StatusChange status_in(const SQLite::Statement& row, int first) {
    StatusChange change{.status = static_cast<Status>(row.getColumn(first).getInt()),
                        .time = row.getColumn(first + 1).getInt64(),
                        .reason = column<TerminationReason>(row, first + 2),
                        .kind = column<TerminationKind>(row, first + 3)};
    const ProcessExit exit{column<int>(row, first + 4), column<int>(row, first + 5)};
    if (exit.code || exit.signal) change.exit = exit;
    change.cause = column<EndCause>(row, first + 6);
    change.diagnosis = column<std::string>(row, first + 7);
    return change;
}

}  // namespace jamsock::rows
