// The times that --since takes.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace jamsock {

// In wall milliseconds. "10s", "5m", "2h", "1d" before `now` (wall milliseconds); "09:30" or
// "09:30:15", the latest that isn't in the future; "2026-11-23", "2026-11-23T09:30" (or a space)
// with seconds and fractions if wanted, and "Z" or "+02:00" (ISO 8601). Local time where no zone is
// given.
Result<std::int64_t> parse_since(const std::string& text, std::int64_t now);

}  // namespace jamsock
