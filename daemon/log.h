// The daemon's log: one line a decision, on standard error (which is jamsockd.log when the daemon
// was started in the background). Programs log, libraries return. Names from outside go in escaped,
// secrets never. Nobody who logs waits for the reader (LogQueue). Any thread.
#pragma once

#include <spdlog/spdlog.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace jamsock::log {

using spdlog::error;
using spdlog::info;
using spdlog::log;
using spdlog::warn;
namespace level = spdlog::level;

// Called once by main, before any thread starts. `program`: "worker". `log_directory` has the file
// behind standard error (LogFile) and stays open; -1: it is no file of ours.
void start(const char* program, int log_directory);

// How many were lost as nobody read them.
std::uint64_t lost_lines();

// Who has asked for what is refused, and so how many lines a minute and kind that is worth.
inline constexpr std::size_t most_refusals_of_users = 60;
inline constexpr std::size_t most_refusals_of_strangers = 1;
// Whether a refused request of `kind` gets a line now. One that gets none is counted.
bool takes_refusal(const std::string& kind, std::size_t most_lines);
// A line for each kind of which some were counted: where its minute is over, or, at the end, now.
// To be called every second.
void tell_refusals(bool at_the_end = false);

}  // namespace jamsock::log
