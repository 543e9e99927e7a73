// The errors that a user can meet: one table maps each code to its name in the API,
// its HTTP status and the command line's exit code (CONTRACT, Errors).
// Only the command line's `main` prints an Error; daemon/api and the proxy's refusals make one
// HTTP.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

enum class ErrorCode {
    invalid_request,
    invalid_key,
    reserved_env_var,
    invalid_auth,
    forbidden,
    backend_not_found,
    service_not_found,
    route_not_found,
    method_not_allowed,
    key_unheld_no_spawn_config,
    backend_not_running,
    key_held,
    conflict,
    payload_too_large,
    usage_limit,
    spawn_failed,
    backend_ended_before_ready,
    unsupported,
    shutting_down,
    store_busy,    // somebody else has the database locked: the same call works later
    storage_full,  // the disk of the state directory, or its quota
    internal,
    // Only the proxy says these, to whoever opened a backend's URL.
    backend_gone,
    backend_unreachable,
    backend_not_ready,
    // Beyond the contract's table: no daemon can be asked or started; a time limit passed.
    daemon_unavailable,
    timed_out,
    // Of a program that a command line names.
    program_not_found,
    program_not_runnable,
};

struct ErrorCodeInfo {
    ErrorCode code;
    std::string_view name;  // "KeyHeld": stable, scripts and SDKs match on it
    int http_status;
    int exit_code;
    // What others than this user are told of an error that has no words for them: its own may name
    // this machine's files. Empty: its own, which speak of what was asked.
    std::string_view told_to_others = {};
    int retry_after = 0;  // seconds, as the HTTP header says it; 0: it isn't said
};

const ErrorCodeInfo& info(ErrorCode code);

// The code whose name is `name`; `internal` for a name this version does not know.
ErrorCode error_code_from_name(std::string_view name);

// "Conflict" for 409: the reason phrase (RFC 9110, section 15); empty for a status never used.
std::string_view http_reason(int http_status);

struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;                // one sentence: what failed, to which thing, and why
    std::string hint;                   // a command to run next, or empty
    std::vector<std::string> log_tail;  // the backend's last lines of output, oldest first
    // In place of message and hint for others than this user, who are told of no file, no command
    // of a service and no output; empty: as the code has it (ErrorCodeInfo).
    std::string public_message = {};
    std::string public_hint = {};
    std::string cause = {};  // for the log alone: what a library, or a bug, said
};

// The same error with words for others than this user: with its own, or with these.
Error for_anybody(Error error);
Error for_others(Error error, std::string message, std::string hint = {});

// What others than this user are told of it.
Error told_to_others(const Error& error);

// For the log: "The daemon's database could not be written. (record_status: disk I/O error)".
std::string with_cause(const Error& error);

}  // namespace jamsock
