#include "common/backend_state.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <array>

namespace jamsock {

namespace {

constexpr std::array<std::string_view, 8> status_words{
    "scheduled", "loading",     "starting",         "waiting",
    "ready",     "terminating", "hard-terminating", "terminated"};
constexpr std::array<std::string_view, 6> reason_words{"swept", "external",       "keyexpired",
                                                       "lost",  "startuptimeout", "internalerror"};
constexpr std::array<std::string_view, 2> kind_words{"soft", "hard"};
constexpr std::array<std::string_view, 3> cause_words{"idle", "lifetime", "out-of-memory"};

template <class Enum, std::size_t N>
std::optional<Enum> from_word(const std::array<std::string_view, N>& words, std::string_view word) {
    const auto found = std::ranges::find(words, word);
    if (found == words.end()) return std::nullopt;
    return static_cast<Enum>(found - words.begin());
}

}  // namespace

std::string_view word(Status status) {
    return status_words[static_cast<std::size_t>(status)];
}
std::string_view word(TerminationReason reason) {
    return reason_words[static_cast<std::size_t>(reason)];
}
std::string_view word(TerminationKind kind) {
    return kind_words[static_cast<std::size_t>(kind)];
}
std::string_view word(EndCause cause) {
    return cause_words[static_cast<std::size_t>(cause)];
}

std::optional<Status> status_from_word(std::string_view word) {
    return from_word<Status>(status_words, word);
}
std::optional<TerminationReason> reason_from_word(std::string_view word) {
    return from_word<TerminationReason>(reason_words, word);
}
std::optional<TerminationKind> kind_from_word(std::string_view word) {
    return from_word<TerminationKind>(kind_words, word);
}
std::optional<EndCause> cause_from_word(std::string_view word) {
    return from_word<EndCause>(cause_words, word);
}

std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name ? name : "unknown";
}

std::string describe(const ProcessExit& exit) {
    if (exit.code) return fmt::format("exited with code {}", *exit.code);
    const int signal = exit.signal.value_or(0);
    return fmt::format("was killed by signal {} ({})", signal, signal_name(signal));
}

}  // namespace jamsock
