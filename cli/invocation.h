// One run of a command: its terminal, and the way to the daemon.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/daemon_launcher.h"
#include "cli/terminal.h"

namespace jamsock {

// Whether a call is made again when its connection was lost midway, and may have been done.
enum class Repeat { never, once };

// What a command that starts the daemon gives where there is none all the same.
template <class T = void>
Result<T> no_daemon() {
    return fail(ErrorCode::daemon_unavailable, "The daemon isn't running.", "jamsock daemon start");
}

struct Invocation {
    Terminal& terminal;
    StartRule start = StartRule::never;
    std::optional<std::vector<std::string>> program;  // the words after "--"

    // The daemon, started if the command may start it.
    Result<ReachedDaemon> reach(Deadline deadline) const;

    // Reaches the daemon and gives what `call(DaemonClient&)` gives, or `without_daemon()` where
    // there is no daemon and the command may start none.
    template <class Call, class WithoutDaemon>
    auto ask(Deadline deadline, Repeat repeat, WithoutDaemon without_daemon, Call call) const
        -> decltype(call(std::declval<DaemonClient&>())) {
        auto daemon = reach(deadline);
        if (!daemon) return pass_on(daemon);
        if (!daemon->client) return without_daemon();
        auto answer = call(*daemon->client);
        terminal.tell_version(daemon->client->daemon_version());
        const bool lost = !answer && (daemon->client->breakdown() == Breakdown::connection_lost ||
                                      answer.error().code == ErrorCode::shutting_down);
        if (!lost || repeat == Repeat::never) return answer;
        return ask(deadline, Repeat::never, without_daemon, call);
    }
};

}  // namespace jamsock
