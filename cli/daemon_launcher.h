// The way to a running daemon: finds it, starts it where that is allowed, ends it. The command
// line's only home of spawn, kill and wait.
#pragma once

#include <optional>
#include <string>

#include "cli/daemon_client.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace jamsock {

// Whether a command may start the daemon that it doesn't find.
enum class StartRule {
    never,
    if_backends_live,  // only if the state directory names backends, which a daemon would adopt
    always,
};

// Which daemon, and how it is started.
struct DaemonPlace {
    std::string state_directory;            // absolute
    std::string program;                    // jamsockd
    std::optional<std::string> proxy_port;  // "0": any free one
    std::optional<std::string> api_port;    // of the API over TCP
    std::string config_file;                // the user's settings, which need not exist; or empty

    // From JAMSOCK_HOME (or XDG_STATE_HOME, XDG_CONFIG_HOME, HOME), JAMSOCK_PROXY_PORT
    // and JAMSOCK_API_PORT.
    static Result<DaemonPlace> from_environment();
};

struct ReachedDaemon {
    std::optional<DaemonClient> client;  // empty: no daemon, and the rule says to start none
    bool started = false;                // by this call
};

// Finds the daemon or, under the rule, starts it and waits until it serves. However many do this
// at once, one daemon is started; none is inside a backend (DESIGN, Inside a backend).
Result<ReachedDaemon> reach_daemon(const DaemonPlace& place, StartRule rule, Deadline deadline);

// Whether this process runs inside a backend; `pid` is the process to look from.
bool inside_backend();
bool has_shim_ancestor(pid_t pid);

// Turns this process into the daemon. Returns only if that fails.
Result<> become_daemon(const DaemonPlace& place);

// The daemon's keeper, as a handle that can't come to mean another process.
class KeeperProcess {
  public:
    static Result<KeeperProcess> of(const DaemonPlace& place, const DaemonClient& client);

    Result<> signal(int number) const;
    // Whether it ended before the deadline.
    bool wait_for_end(Deadline deadline) const;

  private:
    explicit KeeperProcess(UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}
    UniqueFd pidfd_;
};

}  // namespace jamsock
