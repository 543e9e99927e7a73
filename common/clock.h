// The two clocks: wall time for what people and tokens read, boot time for limits and timers
// (it goes on while the machine sleeps, and nobody can set it).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jamsock {

// std::chrono clock over CLOCK_BOOTTIME.
struct BootClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;
    static time_point now();
};

// The boot clock where a test brings its own.
using BootNow = BootClock::time_point (*)();

std::int64_t milliseconds_since_boot(BootClock::time_point time);
// Now.
std::int64_t boot_milliseconds();

// Milliseconds since 1970-01-01 UTC.
std::int64_t wall_milliseconds();

// "2026-11-23T09:30:00.125Z" (ISO 8601, UTC, milliseconds: CONTRACT, Backends).
std::string iso_time(std::int64_t wall_milliseconds);

// Wall milliseconds of a time with "T" and a zone (RFC 3339): "2026-11-23T09:30:00Z", with any
// fraction of a second and any offset. Nothing if `text` is none, or no such day or hour exists.
std::optional<std::int64_t> parse_iso_time(std::string_view text);

}  // namespace jamsock
