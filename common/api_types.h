// What the API takes and gives, as types, and their JSON (CONTRACT, Endpoints): the only home of
// JSON names. A field that is absent is left out of the JSON, never null. Parsing is strict in the
// types of known fields, ignores unknown ones, and fails with InvalidRequest naming the field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend_state.h"
#include "common/environment.h"
#include "common/ids.h"
#include "common/key.h"
#include "common/limits.h"
#include "common/mount.h"
#include "common/result.h"

namespace jamsock {

// A program to run: argv[0] is an absolute path.
struct Command {
    std::vector<std::string> argv;
    std::string cwd;
    friend bool operator==(const Command&, const Command&) = default;
};

struct ConnectRequest {
    std::optional<Key> key;
    bool spawn = true;  // false: look up only
    std::optional<std::string> tag;
    Limits limits;  // of a new backend, over the service's; only max_idle and lifetime are read
    ResourceLimits resources;
    std::optional<Mount> mount;
    EnvironmentMap env;
    std::optional<Command> command;                  // in place of the service's
    std::optional<EnvironmentMap> base_environment;  // the caller's, with `command`
    std::optional<std::string> user;
    std::optional<std::string> auth;  // an object's JSON, ASCII only

    static Result<ConnectRequest> from_json(std::string_view json);
    std::string to_json() const;
};

struct ConnectResponse {
    BackendId backend_id;
    bool spawned = false;
    Status status = Status::scheduled;
    std::string token;
    std::string url;
    std::string secret_token;
    std::string status_url = {};  // no query, no last slash: SDKs append "/stream"
    std::string ready_url = {};

    static Result<ConnectResponse> from_json(std::string_view json);
    std::string to_json() const;
};

// One row of the list of keys; a backend without a key has none.
struct KeyEntry {
    std::optional<Key> key;
    ServiceName service = ServiceName::standard();
    BackendId backend_id;
    Status status = Status::scheduled;
    std::int64_t fencing_token = 0;
    std::int64_t created_at = 0;  // wall milliseconds
    std::uint32_t connections = 0;
    std::int64_t idle_seconds = 0;
    std::int64_t max_idle_seconds = 0;
    std::optional<std::uint64_t> memory_used = {};  // bytes, of all its processes; if asked for
};

struct KeyList {
    std::vector<KeyEntry> keys;
    std::optional<std::string> next_cursor = {};  // asks for those that a limit left out

    static Result<KeyList> from_json(std::string_view json);
    std::string to_json() const;
};

struct BackendInfo {
    BackendId id;
    ServiceName service = ServiceName::standard();
    std::optional<Key> key;
    std::int64_t created_at = 0;  // wall milliseconds
    std::vector<StatusChange> statuses;
    Command command;
    std::int64_t fencing_token = 0;
    std::uint16_t port = 0;
    std::optional<int> pid;  // while its main process lives
    std::uint32_t connections = 0;
    std::int64_t idle_seconds = 0;
    std::int64_t max_idle_seconds = 0;
    std::optional<std::int64_t> expires_at;  // wall milliseconds
    std::optional<std::string> note;         // what is wrong with it now, and with which process
    std::uint64_t dropped_log_bytes = 0;     // of its output, which could not be written

    static Result<BackendInfo> from_json(std::string_view json);
    std::string to_json() const;
};

// One status of one backend, in the one order of all.
struct StatusEvent {
    std::int64_t cursor = 0;  // asks for those behind it
    BackendId backend_id;
    ServiceName service = ServiceName::standard();
    std::optional<Key> key;
    StatusChange change;

    std::string to_json() const;
};

struct EventList {
    std::vector<StatusEvent> events;
    std::int64_t cursor = 0;  // behind the last one; where there is none, that which was asked for

    static Result<EventList> from_json(std::string_view json);
    std::string to_json() const;
};

// One of the backends that a key has had.
struct HistoryEntry {
    BackendId id;
    ServiceName service = ServiceName::standard();
    Key key;
    std::int64_t created_at = 0;           // wall milliseconds
    std::optional<std::int64_t> ready_at;  // likewise; empty: it never was
    StatusChange status;                   // the last one

    // How long it has lived until it ended, or until `now`; and until it was ready. Milliseconds.
    std::int64_t lived(std::int64_t now) const;
    std::optional<std::int64_t> ready_after() const;
};

// The newest first.
struct KeyHistory {
    std::vector<HistoryEntry> backends;

    static Result<KeyHistory> from_json(std::string_view json);
    std::string to_json() const;
};

// What there is to say of a backend's end, or of its life so far. Made by the command line.
struct PostMortem {
    BackendInfo backend;
    std::string verdict;                            // a sentence: who ended it, and how
    std::optional<std::string_view> ended_by = {};  // a word for programs; empty: it has not ended
    std::int64_t lived = 0;                         // milliseconds
    std::optional<std::int64_t> ready_after = {};   // likewise; empty: it never was ready
    std::optional<std::string> diagnosis = {};      // what is known beyond that
    std::vector<std::string> log_tail = {};         // its last lines of output, oldest first
    std::string next_step;                          // a command

    std::string to_json() const;
};

// The backends that have not ended, as Jamsocket's API lists them.
struct RunningBackend {
    BackendId id;
    ServiceName service = ServiceName::standard();
    std::optional<Key> key;
    std::int64_t created_at = 0;  // wall milliseconds
    StatusChange status;
};

struct RunningBackends {
    std::vector<RunningBackend> backends;

    std::string to_json() const;
};

// A status as the public endpoint gives it: how it ended only as `exit_error`.
// Nothing for one that is not told there: an ending that nobody asked for has no reason yet,
// without which the SDKs' validators refuse it.
std::optional<std::string> public_status_json(const StatusChange& change);
// … without how it ended.
Result<StatusChange> public_status_from_json(std::string_view json);

struct TerminateRequest {
    TerminationKind kind = TerminationKind::soft;
    std::optional<std::int64_t> grace_seconds;

    static Result<TerminateRequest> from_json(std::string_view json);
    std::string to_json() const;
};

// Ends the backends of a service that were started before a time. "2026-11-23T09:30:00Z", with any
// fraction of a second and any offset.
struct TerminateBackendsRequest {
    std::int64_t before = 0;  // wall milliseconds
    TerminationKind kind = TerminationKind::soft;
    bool dry_run = false;  // only counts them

    static Result<TerminateBackendsRequest> from_json(std::string_view json);
};

struct TerminateBackendsResponse {
    std::size_t found = 0;       // that had not ended
    std::size_t terminated = 0;  // of those, how many were told to end

    std::string to_json() const;
};

// Which of a backend's connection tokens are no good from now on. Strict: a mistyped field would be
// lost in silence.
struct RevokeRequest {
    enum class By {
        user,   // all that were issued for a user
        token,  // one
    };
    By by = By::user;
    std::string value;   // the user's name, or the token's text
    bool close = false;  // also ends the connections that use them

    static Result<RevokeRequest> from_json(std::string_view json);
    std::string to_json() const;
};

struct RevokeResponse {
    std::size_t revoked = 0;  // tokens that were good until now

    static Result<RevokeResponse> from_json(std::string_view json);
    std::string to_json() const;
};

// What a backend uses, as each event of its metrics stream has it.
struct BackendMetrics {
    BackendId backend_id;
    std::uint64_t memory_used = 0;  // bytes, of all its processes
    // Bytes that it could have beside these; told as 1 at least, since clients take its logarithm.
    std::uint64_t memory_available = 0;
    std::uint64_t cpu_used = 0;    // nanoseconds of processor time, since the event before
    std::uint64_t system_cpu = 1;  // … that all processors had meanwhile; clients divide by it

    std::string to_json() const;
};

struct VersionInfo {
    std::string version;
    int pid = 0;                  // the worker's
    std::int64_t started_at = 0;  // the worker's, wall milliseconds
    std::uint16_t proxy_port = 0;
    std::uint16_t api_port = 0;  // over TCP
    std::size_t backends = 0;    // not yet terminated
    bool dev = false;            // over TCP the token "-" is taken, too

    static Result<VersionInfo> from_json(std::string_view json);
    std::string to_json() const;
};

// {"NAME":"value", …}
std::string environment_json(const EnvironmentMap& variables);

// Whether `text` is one JSON value, and not the beginning of one or anything else.
bool is_whole_json(std::string_view text);

// {"status":"ok"}
std::string ok_json();

// What a good API token may do: all, for the one account.
std::string auth_json();

// The answer to a failed request; `request_id` is also in the daemon's log.
std::string error_json(const Error& error, std::string_view request_id);
// … whose HTTP status is another one than the code's.
std::string error_json(const Error& error, std::string_view request_id, int http_status);
// The Error in such an answer; an `internal` one that names `http_status` if it is no such answer.
Error error_from_json(std::string_view json, int http_status);

}  // namespace jamsock
