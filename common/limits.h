// How long a backend may be idle, live, and take to end or to start (CONTRACT, Life of a backend),
// and what it may use of the machine (CONTRACT, Connect).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace jamsock {

// As a request, an environment or a service sets them, in seconds; what is empty is not set there.
struct Limits {
    std::optional<std::int64_t> max_idle;  // 0: ends with its last connection
    std::optional<std::int64_t> lifetime;
    std::optional<std::int64_t> grace;
    std::optional<std::int64_t> startup;

    // These, and what they don't set as `base` has it.
    Limits over(const Limits& base) const;
    friend bool operator==(const Limits&, const Limits&) = default;
};

// The least and the most that a limit may be.
struct LimitRange {
    std::int64_t least;
    std::int64_t most;
};
namespace limit_range {
inline constexpr std::int64_t longest = 1'000'000'000;  // 31 years: sums of times can't overflow
inline constexpr LimitRange max_idle{0, longest};
inline constexpr LimitRange lifetime{1, longest};
inline constexpr LimitRange grace{0, 24 * 60 * 60};
inline constexpr LimitRange startup{1, 60 * 60};
}  // namespace limit_range

// Those in force for one backend.
struct LifeLimits {
    std::chrono::seconds max_idle;
    std::optional<std::chrono::seconds> lifetime;  // from `scheduled`
    std::chrono::seconds grace;
    std::chrono::seconds startup;

    // What `set` leaves empty has its default.
    explicit LifeLimits(const Limits& set);
    LifeLimits() : LifeLimits(Limits{}) {}
    Limits as_set() const;
    friend bool operator==(const LifeLimits&, const LifeLimits&) = default;
};

// What one backend may use; what is empty is not limited.
struct ResourceLimits {
    std::optional<std::int64_t> cpu_time;     // seconds, of each of its processes
    std::optional<std::int64_t> memory;       // bytes, of all of them
    std::optional<std::int64_t> cpu_period;   // microseconds
    std::optional<std::int64_t> cpu_percent;  // of each period, for all of them; 100: one core

    // Microseconds of processor time in each period; empty: all that there is.
    std::optional<std::int64_t> cpu_quota() const;
    std::int64_t cpu_period_or_usual() const { return cpu_period.value_or(100'000); }
    friend bool operator==(const ResourceLimits&, const ResourceLimits&) = default;
};
namespace limit_range {
inline constexpr LimitRange cpu_time{1, longest};
inline constexpr LimitRange memory{1, std::int64_t{1} << 60};
// As the kernel has them (Documentation/admin-guide/cgroup-v2, cpu.max).
inline constexpr LimitRange cpu_period{1'000, 1'000'000};
inline constexpr LimitRange cpu_percent{1, 100'000};
inline constexpr std::int64_t least_cpu_quota = 1'000;
}  // namespace limit_range

}  // namespace jamsock
