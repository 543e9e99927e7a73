// The life of a backend (CONTRACT, Life of a backend): its statuses, and which may follow which.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

// In the order of life: a backend may skip statuses and never goes back.
enum class Status {
    scheduled,         // its row is committed
    loading,           // its shim was spawned
    starting,          // the shim holds the key's lock and was told to go
    waiting,           // its program runs and is not ready yet
    ready,             // it answers HTTP on its port
    terminating,       // it was asked to end, or its main process ended and children live
    hard_terminating,  // it is being killed
    terminated,        // every process of it is gone; the key is free
};

enum class TerminationReason { swept, external, keyexpired, lost, startuptimeout, internalerror };

enum class TerminationKind { soft, hard };

// What ended a backend, where reason and exit don't tell.
enum class EndCause {
    idle,           // swept, as nobody used it
    lifetime,       // swept, as its time was up
    out_of_memory,  // the kernel killed a process of it
};

// How the main process ended: exactly one of the two is set.
struct ProcessExit {
    std::optional<int> code;
    std::optional<int> signal;
    friend bool operator==(const ProcessExit&, const ProcessExit&) = default;
};

// One entry of a backend's history. `reason` and `kind` from terminating on, absent for an exit of
// the backend's own; `exit` only in terminated, absent when nobody saw the end (lost).
struct StatusChange {
    Status status = Status::scheduled;
    std::int64_t time = 0;  // wall milliseconds
    std::optional<TerminationReason> reason;
    std::optional<TerminationKind> kind;
    std::optional<ProcessExit> exit;
    std::optional<EndCause> cause = {};
    std::optional<std::string> diagnosis = {};  // a sentence: what is known of why it ended
    friend bool operator==(const StatusChange&, const StatusChange&) = default;
};

// The legal moves: a row for each status, in it a '+' for each that may follow, both in the order
// of Status. A backend may skip statuses, never goes back, and `terminated` is final.
inline constexpr std::array<std::string_view, 8> legal_moves{
    ".+++++++",  // scheduled
    "..++++++",  // loading
    "...+++++",  // starting
    "....++++",  // waiting
    ".....+++",  // ready
    "......++",  // terminating
    ".......+",  // hard-terminating
    "........",  // terminated
};
constexpr bool may_follow(Status earlier, Status later) {
    return legal_moves[static_cast<std::size_t>(earlier)][static_cast<std::size_t>(later)] == '+';
}
// Whether the backend may still serve requests, now or once it is ready.
constexpr bool is_live(Status status) {
    return status < Status::terminating;
}
constexpr bool is_ending(Status status) {
    return status == Status::terminating || status == Status::hard_terminating;
}

// The words of the API ("hard-terminating", "startuptimeout", "soft"), and back.
std::string_view word(Status status);
std::string_view word(TerminationReason reason);
std::string_view word(TerminationKind kind);
std::string_view word(EndCause cause);
std::optional<Status> status_from_word(std::string_view word);
std::optional<TerminationReason> reason_from_word(std::string_view word);
std::optional<TerminationKind> kind_from_word(std::string_view word);
std::optional<EndCause> cause_from_word(std::string_view word);

// "KILL" for 9; "unknown" for what is no signal.
std::string signal_name(int signal);

// "exited with code 3", "was killed by signal 9 (KILL)".
std::string describe(const ProcessExit& exit);

}  // namespace jamsock
