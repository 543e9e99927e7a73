// How backends and services stand in rows: values to columns and back. Private to daemon/store.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/api_types.h"
#include "daemon/backends/backend_record.h"
#include "daemon/store/store.h"

namespace jamsock::rows {

// In the order in which the functions below read them.
inline constexpr const char* backend_columns =
    "id, serial, mac_key, account, service, environment, key, lock_name, mark, fencing_token, "
    "created_at, tag, argv, cwd, port, max_idle, lifetime, grace, startup, expires_at_boot, "
    "ready_kind, ready_sign, listen_fd, port_owner, allow_origins";
inline constexpr const char* service_columns =
    "account, service, environment, created_at, argv, cwd, base_env, env, "
    "max_idle, lifetime, grace, startup, ready_kind, ready_sign, listen_fd, port_owner, "
    "allow_origins";
inline constexpr const char* status_columns =
    "status, time, reason, kind, exit_code, exit_signal, cause, diagnosis";
// Of `backend` joined to `backend_status`; those of a status follow.
inline constexpr const char* event_columns = "seq, id, key, account, service, environment";

// As one text: each argument, or NAME=value entry, ended by a NUL byte.
std::string joined(const std::vector<std::string>& argv);
std::string joined(const EnvironmentMap& variables);

void bind_bytes(SQLite::Statement& statement, int index, const std::string& bytes);
// Four columns each, from `first` on.
void bind_limits(SQLite::Statement& statement, int first, const Limits& limits);
void bind_readiness(SQLite::Statement& statement, int first, const ReadinessRule& rule);

template <class Value>
void bind_optional(SQLite::Statement& statement, int index, const std::optional<Value>& value) {
    if (value) {
        statement.bind(index, *value);
    } else {
        statement.bind(index);
    }
}

template <class Enum>
std::optional<int> as_number(const std::optional<Enum>& value) {
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

template <class Value>
std::optional<Value> column(const SQLite::Statement& row, int index) {
    const auto value = row.getColumn(index);
    if (value.isNull()) return std::nullopt;
    if constexpr (std::is_same_v<Value, std::string>) {
        return value.getString();
    } else {
        return static_cast<Value>(value.getInt64());
    }
}

// Nothing if the row holds what no backend, or no service, can have: then somebody else wrote it.
std::optional<BackendRecord> backend_in(const SQLite::Statement& row);
std::optional<Store::ServiceRow> service_in(const SQLite::Statement& row);
std::optional<StatusEvent> event_in(const SQLite::Statement& row);
// Its columns begin at `first`.
StatusChange status_in(const SQLite::Statement& row, int first);

}  // namespace jamsock::rows
