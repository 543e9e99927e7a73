#include "common/error.h"

#include <algorithm>
#include <array>
#include <utility>

namespace jamsock {

namespace {

constexpr std::array table{
    ErrorCodeInfo{ErrorCode::invalid_request, "InvalidRequest", 400, 2},
    ErrorCodeInfo{ErrorCode::invalid_key, "InvalidKey", 400, 2},
    ErrorCodeInfo{ErrorCode::reserved_env_var, "ReservedEnvVar", 400, 2},
    ErrorCodeInfo{ErrorCode::invalid_auth, "InvalidAuth", 401, 77},
    ErrorCodeInfo{ErrorCode::forbidden, "Forbidden", 403, 77},
    ErrorCodeInfo{ErrorCode::backend_not_found, "BackendNotFound", 404, 4},
    ErrorCodeInfo{ErrorCode::service_not_found, "ServiceNotFound", 404, 4},
    ErrorCodeInfo{ErrorCode::route_not_found, "NotFound", 404, 4},
    ErrorCodeInfo{ErrorCode::method_not_allowed, "MethodNotAllowed", 405, 1},
    ErrorCodeInfo{ErrorCode::key_unheld_no_spawn_config, "KeyUnheldNoSpawnConfig", 409, 3},
    ErrorCodeInfo{ErrorCode::backend_not_running, "BackendNotRunning", 409, 3},
    ErrorCodeInfo{ErrorCode::key_held, "KeyHeld", 409, 6},
    ErrorCodeInfo{ErrorCode::conflict, "Conflict", 409, 6},
    ErrorCodeInfo{ErrorCode::payload_too_large, "PayloadTooLarge", 413, 1},
    ErrorCodeInfo{ErrorCode::usage_limit, "UsageLimit", 429, 1},
    ErrorCodeInfo{ErrorCode::spawn_failed, "SpawnFailed", 500, 5,
                  "The backend could not be started."},
    ErrorCodeInfo{ErrorCode::backend_ended_before_ready, "BackendEndedBeforeReady", 502, 5,
                  "The backend ended before it was ready."},
    ErrorCodeInfo{ErrorCode::unsupported, "Unsupported", 501, 1},
    ErrorCodeInfo{ErrorCode::shutting_down, "ShuttingDown", 503, 69},
    ErrorCodeInfo{.code = ErrorCode::store_busy,
                  .name = "StoreBusy",
                  .http_status = 503,
                  .exit_code = 75,
                  .retry_after = 1},
    ErrorCodeInfo{ErrorCode::storage_full, "StorageFull", 507, 74},
    ErrorCodeInfo{ErrorCode::internal, "Internal", 500, 1,
                  "The daemon could not do what was asked."},
    ErrorCodeInfo{ErrorCode::backend_gone, "BackendGone", 410, 4},
    ErrorCodeInfo{ErrorCode::backend_unreachable, "BackendUnreachable", 502, 5},
    ErrorCodeInfo{ErrorCode::backend_not_ready, "BackendNotReady", 504, 5},
    ErrorCodeInfo{ErrorCode::daemon_unavailable, "DaemonUnavailable", 503, 69,
                  "The daemon can't be used."},
    ErrorCodeInfo{ErrorCode::timed_out, "TimedOut", 504, 124},
    ErrorCodeInfo{ErrorCode::program_not_found, "ProgramNotFound", 500, 127},
    ErrorCodeInfo{ErrorCode::program_not_runnable, "ProgramNotRunnable", 500, 126},
};

constexpr bool rows_stand_in_the_order_of_the_enum() {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (static_cast<std::size_t>(table[i].code) != i) return false;
    }
    return true;
}
static_assert(rows_stand_in_the_order_of_the_enum());

}  // namespace

const ErrorCodeInfo& info(ErrorCode code) {
    return table[static_cast<std::size_t>(code)];
}

ErrorCode error_code_from_name(std::string_view name) {
    const auto row = std::ranges::find(table, name, &ErrorCodeInfo::name);
    return row == table.end() ? ErrorCode::internal : row->code;
}

Error for_anybody(Error error) {
    error.public_message = error.message;
    error.public_hint = error.hint;
    return error;
}

Error for_others(Error error, std::string message, std::string hint) {
    error.public_message = std::move(message);
    error.public_hint = std::move(hint);
    return error;
}

Error told_to_others(const Error& error) {
    if (!error.public_message.empty()) {
        return {error.code, error.public_message, error.public_hint, {}};
    }
    const std::string_view told = info(error.code).told_to_others;
    if (!told.empty()) return {error.code, std::string(told), {}, {}};
    return {error.code, error.message, error.hint, {}};
}

std::string with_cause(const Error& error) {
    return error.cause.empty() ? error.message : error.message + " (" + error.cause + ")";
}

std::string_view http_reason(int http_status) {
    switch (http_status) {
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 303:
            return "See Other";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 413:
            return "Payload Too Large";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 507:
            return "Insufficient Storage";
        default:
            return "";
    }
}

}  // namespace jamsock
