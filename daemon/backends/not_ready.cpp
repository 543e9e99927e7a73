#include "daemon/backends/not_ready.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::size_t most_ports_told = 5;

// "[::1]:80": a colon inside the address needs the brackets.
std::string place(const Listener& listener) {
    const bool ipv6 = listener.address.find(':') != std::string::npos;
    return ipv6 ? fmt::format("[{}]:{}", listener.address, listener.port)
                : fmt::format("{}:{}", listener.address, listener.port);
}

// "port 80", "ports 80 and 443", "ports 80, 81 and 3 more".
std::string ports_of(const std::vector<Listener>& listeners) {
    std::set<std::uint16_t> different;
    for (const Listener& listener : listeners)
        different.insert(listener.port);
    std::vector<std::string> ports;
    for (const std::uint16_t port : different)
        ports.push_back(std::to_string(port));
    if (ports.size() == 1) return "port " + ports.front();
    if (ports.size() > most_ports_told) {
        const std::size_t more = ports.size() - most_ports_told;
        ports.resize(most_ports_told);
        ports.push_back(fmt::format("{} more", more));
    }
    const std::string last = ports.back();
    ports.pop_back();
    return fmt::format("ports {} and {}", fmt::join(ports, ", "), last);
}

// What a backend did instead, for this user and for others, who learn of no command.
struct Cause {
    std::string told;
    std::string told_to_others = told;
};

Cause belongs_to_another(std::uint16_t port, const PortReport& report) {
    Cause cause{fmt::format("its port {} belongs to another process", port)};
    if (const auto& owner = report.stranger) {
        cause.told += fmt::format(", {} ({})", owner->pid, in_quotes(owner->command));
    }
    return cause;
}

std::string where_it_listens(std::uint16_t port, const PortReport& report) {
    if (report.owner == PortOwner::tree) {
        return fmt::format("it listens on its port {} and doesn't answer HTTP there", port);
    }
    if (report.listeners.empty()) {
        return fmt::format(
            "it listens on no port; it must serve HTTP on 127.0.0.1, port $PORT ({})", port);
    }
    const auto elsewhere = std::ranges::find(report.listeners, port, &Listener::port);
    if (elsewhere != report.listeners.end()) {
        return fmt::format(
            "it listens on {}, where 127.0.0.1:{} doesn't lead: take the address from the "
            "environment variable HOST",
            place(*elsewhere), port);
    }
    return fmt::format(
        "it listens on {} instead of $PORT {}: read the port from the environment variable PORT",
        ports_of(report.listeners), port);
}

std::string how_the_command_ended(const std::optional<LastLook::CommandTry>& last) {
    if (!last) return "has not ended yet";
    if (!last->was_too_long) return describe(last->exit);
    return fmt::format("did not end within {} s",
                       std::chrono::seconds(timeouts::ready_try).count());
}

// The sign that its service waits for, if that is what was missing: not for a path where nobody
// answered at all, since its port says more.
std::optional<Cause> missing_sign(const BackendRecord& backend, const LastLook& look) {
    const auto& sign = backend.readiness.sign;
    if (!sign || look.has_sign) return std::nullopt;
    switch (sign->kind()) {
        case ReadySign::Kind::log:
            return Cause{fmt::format("no line of its output matched {}", in_quotes(sign->text())),
                         "no line of its output matched its service's expression"};
        case ReadySign::Kind::path:
            if (look.http_status == 0) return std::nullopt;
            return Cause{fmt::format("GET {} answered {}", sign->text(), look.http_status)};
        case ReadySign::Kind::exec:
            break;
    }
    const std::string end = how_the_command_ended(look.command);
    return Cause{fmt::format("the command {} {}", in_quotes(sign->text()), end),
                 fmt::format("its service's readiness command {}", end)};
}

std::string how_to_change(const BackendRecord& backend) {
    const ReadySign::Kind kind = backend.readiness.sign->kind();
    const char* what = kind == ReadySign::Kind::log    ? "REGEX"
                       : kind == ReadySign::Kind::path ? "PATH"
                                                       : "COMMAND";
    return fmt::format("{} --ready-{} {}",
                       shell_line({"jamsock", "service", "update", backend.service.str()}),
                       word(kind), what);
}

// The sentence for either reader, of `start` and the cause.
Error ended_before_ready(const std::string& start, const Cause& cause, const std::string& hint) {
    return for_others({ErrorCode::backend_ended_before_ready,
                       fmt::format("{}: {}.", start, cause.told),
                       hint,
                       {}},
                      fmt::format("{}: {}.", start, cause.told_to_others), hint);
}

std::string was_not_ready(const BackendRecord& backend) {
    return fmt::format("The backend {} was not ready within {} s", backend.id.str(),
                       backend.limits.startup.count());
}

}  // namespace

Error explain_not_ready(const BackendRecord& backend, const LastLook& look,
                        const PortReport& report) {
    const bool is_robbed =
        report.owner == PortOwner::stranger && !backend.readiness.takes_any_owner();
    const auto missing = is_robbed ? std::nullopt : missing_sign(backend, look);
    const Cause cause = is_robbed ? belongs_to_another(backend.port, report)
                        : missing ? *missing
                                  : Cause{where_it_listens(backend.port, report)};
    return ended_before_ready(
        was_not_ready(backend), cause,
        missing ? how_to_change(backend) : "jamsock status " + backend.id.str());
}

Error explain_no_program(const BackendRecord& backend) {
    const Cause cause{
        fmt::format("its program {} is not running yet; the file system of the program or of its "
                    "directory {} doesn't answer",
                    in_quotes(backend.command.argv.front()), in_quotes(backend.command.cwd)),
        "its program is not running yet"};
    return ended_before_ready(was_not_ready(backend), cause, "jamsock status " + backend.id.str());
}

std::optional<Error> explain_lost_port(const BackendId& id, const ProcessExit& exit,
                                       std::uint16_t port, const LastLook& look,
                                       const PortReport& report) {
    if (report.owner != PortOwner::stranger && !look.met_stranger) return std::nullopt;
    return ended_before_ready(
        fmt::format("The backend {} {} before it was ready", id.str(), describe(exit)),
        belongs_to_another(port, report), fmt::format("jamsock status {}", id.str()));
}

}  // namespace jamsock
