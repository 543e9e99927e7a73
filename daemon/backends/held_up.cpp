#include "daemon/backends/held_up.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::size_t most_named = 10;

// "process 12 (cat)", "processes 12 (cat), 13 (sh)".
std::string named(const std::vector<NamedProcess>& processes) {
    std::string text = processes.size() == 1 ? "process" : "processes";
    for (std::size_t i = 0; i < std::min(processes.size(), most_named); ++i) {
        fmt::format_to(std::back_inserter(text), "{} {} ({})", i == 0 ? "" : ",", processes[i].pid,
                       escaped(processes[i].command));
    }
    if (processes.size() > most_named) text += ", …";
    return text;
}

std::string kill_command(const std::vector<NamedProcess>& processes) {
    std::string command = "kill";
    for (const NamedProcess& process : processes)
        command += fmt::format(" {}", process.pid);
    return command;
}

}  // namespace

Error explain_busy_lock(const std::string& holder, bool has_ended,
                        const std::vector<NamedProcess>& processes) {
    const std::string who =
        holder.empty() ? "an unknown backend" : "the backend " + in_quotes(holder);
    std::string sentence =
        has_ended
            ? fmt::format("The backend {} has ended, but its descriptor of the key's lock",
                          in_quotes(holder))
            : fmt::format("The key's lock is held by {}, of which this daemon knows nothing", who);
    if (has_ended) {
        sentence += processes.empty() ? " was given to a process that can't be found"
                                      : " was given to " + named(processes);
    } else if (!processes.empty()) {
        sentence += ": by " + named(processes);
    }
    return for_others({ErrorCode::spawn_failed,
                       sentence + ".",
                       processes.empty() ? "jamsock daemon logs" : kill_command(processes),
                       {}},
                      "The key's lock is held by a process of no backend that this daemon runs.");
}

std::string note_on_stopped_shim(pid_t shim) {
    return fmt::format(
        "its shim, process {0}, is stopped and keeps the key; go on with 'kill -CONT {0}'", shim);
}

std::string note_on_left_processes(const std::vector<NamedProcess>& left) {
    return fmt::format("{} can't be killed yet and keep{} the key", named(left),
                       left.size() == 1 ? "s" : "");
}

std::string note_on_unproven_processes(const std::vector<NamedProcess>& unproven) {
    return fmt::format(
        "{} may belong to it, can't be proven not to, and keep{} the key; to free it, run '{}'",
        named(unproven), unproven.size() == 1 ? "s" : "", kill_command(unproven));
}

}  // namespace jamsock
