// What the registry knows of running backends: it asks through Backends, and is told through one
// callback of BackendEvents. The Supervisor is the real one; tests of the registry bring their own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/backend_state.h"
#include "common/environment.h"
#include "common/result.h"
#include "daemon/asio.h"
#include "daemon/backends/backend_record.h"
#include "daemon/backends/usage.h"

namespace jamsock {

struct Termination {
    TerminationKind kind = TerminationKind::soft;
    TerminationReason reason = TerminationReason::external;
    std::chrono::milliseconds grace{0};  // soft: from TERM to KILL
    std::optional<EndCause> cause = {};
};

// A backend moved on. `terminated` is said last, when every process of it is gone.
struct BackendEvent {
    BackendId id;
    StatusChange change;
    std::optional<Error> failure;  // in `terminated`: why it never came up, where that is known
    bool lost_port = false;        // … and that is a port which somebody else took in between
    ReadyMark ready = {};          // in `ready`: where it listens
};

// What a start needs beside the record, and nobody after it.
struct StartSettings {
    EnvironmentMap environment;        // all that the backend gets
    std::optional<std::string> mount;  // made before it, in the state directory's `mounts`
    ResourceLimits resources;
};

// What a backend's processes and files show.
struct BackendCondition {
    // What keeps it from answering or from ending, with the process that does; empty if all is
    // well.
    std::optional<std::string> note;
    std::uint64_t dropped_log_bytes = 0;  // of its output, which could not be written
};

class Backends {
  public:
    virtual ~Backends() = default;

    // Unsupported, with the limit's name and the reason, if one of them can't be kept here.
    virtual Result<> can_limit(const ResourceLimits& limits) const = 0;

    // Whether one more can be started, beside `others` that are about to be: UsageLimit if this
    // process has no descriptors to spare.
    virtual Result<> check_room(std::size_t others) const = 0;

    // Begins to start the backend and returns at once; events tell how it goes on. The record must
    // be committed, and its limits possible.
    virtual void start(const BackendRecord& record, const StartSettings& settings) = 0;

    // Asks for the backend's end and returns at once. A hard one overtakes a soft one; else the
    // first counts. Nothing happens for an unknown id.
    virtual void terminate(const BackendId& id, const Termination& termination) = 0;

    // No fencing token that the key's lock has seen is greater, also before its file was swept; 0
    // if it was never used. SpawnFailed, with the way out, if the file that says so is damaged.
    virtual Result<std::int64_t> recorded_token(const std::string& lock_name) const = 0;

    // The main process, while it is known to run.
    virtual std::optional<pid_t> pid(const BackendId& id) const = 0;

    // The last lines of the backend's output, oldest first, also after its end.
    virtual std::vector<std::string> log_tail(const BackendId& id, std::size_t count) const = 0;

    // What the processes of each use now; nothing where it runs none. Waits for a look at all.
    virtual Task<std::vector<std::optional<Usage>>> usage(
        const std::vector<BackendId>& ids) const = 0;

    // How it stands, live or ended. Waits for a look at processes and files.
    virtual Task<BackendCondition> condition(const BackendId& id) const = 0;
};

}  // namespace jamsock
