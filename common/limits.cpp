#include "common/limits.h"

#include "common/timeouts.h"

namespace jamsock {

namespace {

using std::chrono::seconds;

seconds set_or(const std::optional<std::int64_t>& limit, seconds otherwise) {
    return limit ? seconds(*limit) : otherwise;
}

}  // namespace

Limits Limits::over(const Limits& base) const {
    const auto pick = [](const auto& own, const auto& inherited) { return own ? own : inherited; };
    return {pick(max_idle, base.max_idle), pick(lifetime, base.lifetime), pick(grace, base.grace),
            pick(startup, base.startup)};
}

std::optional<std::int64_t> ResourceLimits::cpu_quota() const {
    if (!cpu_percent) return std::nullopt;
    return cpu_period_or_usual() * *cpu_percent / 100;
}

LifeLimits::LifeLimits(const Limits& set)
    : max_idle(set_or(set.max_idle, timeouts::max_idle)),
      grace(set_or(set.grace, timeouts::grace)),
      startup(set_or(set.startup, timeouts::startup_limit)) {
    if (set.lifetime) lifetime = seconds(*set.lifetime);
}

Limits LifeLimits::as_set() const {
    Limits set{.max_idle = max_idle.count(), .grace = grace.count(), .startup = startup.count()};
    if (lifetime) set.lifetime = lifetime->count();
    return set;
}

}  // namespace jamsock
