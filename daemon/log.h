// The daemon's log: one line a decision, on standard error (which is jamsockd.log when the daemon
// was started in the background). Programs log, libraries return. Names from outside go in escaped,
// secrets never. Nobody who logs waits for the reader (LogQueue). Any thread.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>

namespace jamsock::log {

using spdlog::error;
using spdlog::info;
using spdlog::log;
using spdlog::warn;
namespace level = spdlog::level;

// Called once by main, before any thread starts. `program`: "worker".
void start(const char* program);

// How many were lost as nobody read them.
std::uint64_t lost_lines();

}  // namespace jamsock::log
