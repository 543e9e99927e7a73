#include "cli/post_mortem.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "common/hints.h"
#include "common/text.h"

namespace jamsock {

namespace {

// Who or what ended it: a word for programs, and for people what goes on a sentence that begins
// with the backend's name.
struct Ender {
    std::string_view word;
    std::string deed;
};

std::string named(const BackendInfo& backend) {
    const std::string name = "The backend " + backend.id.str();
    return backend.key ? fmt::format("{} of the key {}", name, in_quotes(backend.key->str()))
                       : name;
}

bool has_been(const BackendInfo& backend, Status status) {
    return std::ranges::find(backend.statuses, status, &StatusChange::status) !=
           backend.statuses.end();
}

// A signal that came from elsewhere.
std::string killed_by(const ProcessExit& exit) {
    const std::string killed = describe(exit);
    if (exit.signal == SIGXCPU) return killed + ", as its limit of processor time was used up";
    const char* who =
        exit.signal == SIGKILL ? "; the kernel's out-of-memory killer does so: see dmesg" : "";
    return fmt::format("{} that jamsock did not send{}", killed, who);
}

Ender without_reason(const BackendInfo& backend, const StatusChange& end) {
    if (!end.exit) return {"lost", "ended, and nobody saw how"};
    const bool never_ran = end.diagnosis && !has_been(backend, Status::waiting);
    if (never_ran) return {"start-failure", "could not be started"};
    if (end.exit->signal) return {"signal", killed_by(*end.exit)};
    return {"itself", "ended by itself"};
}

Ender swept(const BackendInfo& backend, const StatusChange& end) {
    if (!end.cause) {
        return {"idle-or-lifetime", "was ended because nobody used it or its lifetime was over"};
    }
    if (end.cause == EndCause::lifetime) {
        const std::int64_t lifetime =
            (backend.expires_at.value_or(backend.created_at) - backend.created_at) / 1000;
        return {"lifetime",
                fmt::format("was ended because its lifetime of {} s was over", lifetime)};
    }
    return {"idle",
            fmt::format("was ended because nobody used it for {} s", backend.max_idle_seconds)};
}

Ender ender(const BackendInfo& backend, const StatusChange& end) {
    if (end.cause == EndCause::out_of_memory) {
        return {"out-of-memory", "was killed by the kernel: out of memory"};
    }
    if (!end.reason) return without_reason(backend, end);
    switch (*end.reason) {
        case TerminationReason::swept:
            return swept(backend, end);
        case TerminationReason::external:
            return {"request", "was ended on request, by jamsock terminate or a call of the API"};
        case TerminationReason::keyexpired:
            return {"key-expired", "was ended because its key expired"};
        case TerminationReason::startuptimeout:
            return {"startup-limit", "was killed because it was not ready in time"};
        case TerminationReason::internalerror:
            if (!has_been(backend, Status::starting)) {
                return {"start-failure", "could not be started"};
            }
            return {"lock-removed", "was killed because its key's lock file was removed"};
        case TerminationReason::lost:
            break;
    }
    return {"lost", "was lost: its jamsock-shim ended before it"};
}

// The exit, where the deed has not said it.
std::string exit_clause(const Ender& by, const StatusChange& end) {
    const bool is_said = by.word == "signal" || by.word == "start-failure";
    if (!end.exit || is_said) return "";
    return fmt::format("{} it {}", by.deed.find(": ") == std::string::npos ? ":" : ";",
                       describe(*end.exit));
}

std::string life_so_far(const BackendInfo& backend) {
    const Status status = backend.statuses.back().status;
    if (status == Status::ready) return "runs, and is ready";
    return is_ending(status) ? fmt::format("is {}, and has not ended yet", word(status))
                             : fmt::format("is {}, and not ready yet", word(status));
}

// What the default service runs where nobody gave it another program.
bool is_demo(const Command& command) {
    return command.argv.size() == 1 && command.argv.front().ends_with("/jamsock-demo");
}

// A connect that starts what ran before.
std::string start_again(const BackendInfo& backend) {
    const std::string connect = key_command("connect", backend.service, backend.key);
    const bool is_named = backend.service != ServiceName::standard();
    if (is_named || backend.command.argv.empty() || is_demo(backend.command)) return connect;
    return fmt::format("{} && {} -- {}", shell_line({"cd", backend.command.cwd}), connect,
                       shell_line(backend.command.argv));
}

std::string next_of_ended(const PostMortem& told) {
    const BackendInfo& backend = told.backend;
    const std::string_view by = *told.ended_by;
    const auto& exit = backend.statuses.back().exit;
    if (by == "lost" || by == "lock-removed") return "jamsock daemon logs";
    if (by == "start-failure" && exit && !backend.command.argv.empty()) {
        return shell_line({"ls", "-ld", backend.command.cwd, backend.command.argv.front()});
    }
    if (by == "start-failure") return "jamsock daemon logs";
    const bool was_wrong = by == "signal" || by == "startup-limit" || by == "out-of-memory" ||
                           (by == "itself" && exit->code != 0);
    if (was_wrong && !told.log_tail.empty()) return "jamsock logs " + backend.id.str();
    return start_again(backend);
}

std::string next_of_living(const PostMortem& told) {
    const std::string& id = told.backend.id.str();
    if (is_ending(told.backend.statuses.back().status)) return "jamsock terminate --hard " + id;
    return (told.log_tail.empty() ? "jamsock status " : "jamsock logs ") + id;
}

}  // namespace

PostMortem post_mortem(BackendInfo backend, std::vector<std::string> log_tail, std::int64_t now) {
    if (backend.statuses.empty()) backend.statuses.push_back({.time = backend.created_at});
    PostMortem told{.backend = std::move(backend), .log_tail = std::move(log_tail)};
    const BackendInfo& known = told.backend;
    const StatusChange& last = known.statuses.back();
    const bool has_ended = last.status == Status::terminated;
    told.lived = std::max<std::int64_t>(0, (has_ended ? last.time : now) - known.created_at);
    const auto ready = std::ranges::find(known.statuses, Status::ready, &StatusChange::status);
    if (ready != known.statuses.end()) {
        told.ready_after = std::max<std::int64_t>(0, ready->time - known.created_at);
    }
    told.diagnosis = last.diagnosis ? last.diagnosis : known.note;
    if (!has_ended) {
        told.verdict = fmt::format("{} {}.", named(known), life_so_far(known));
        told.next_step = next_of_living(told);
        return told;
    }
    const Ender by = ender(known, last);
    told.ended_by = by.word;
    told.verdict = fmt::format("{} {}{}.", named(known), by.deed, exit_clause(by, last));
    told.next_step = next_of_ended(told);
    return told;
}

}  // namespace jamsock
