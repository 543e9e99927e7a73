// How long a loop kept its handlers waiting: a timer that is late by as much as a handler took.
// Pauses shorter than its pace may be missed. On the loop's thread.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>

#include "daemon/asio.h"

namespace jamsock {

class Pauses {
  public:
    using Clock = std::chrono::steady_clock;

    void add(Clock::time_point now, Clock::duration pause) {
        const std::int64_t part = part_of(now);
        Part& last = parts_[static_cast<std::size_t>(part) % parts_.size()];
        if (last.number != part) last = {part, {}};
        last.longest = std::max(last.longest, pause);
        longest_ = std::max(longest_, pause);
    }
    Clock::duration longest() const { return longest_; }
    // Of the last minute, and of up to ten seconds before it.
    Clock::duration lately(Clock::time_point now) const {
        Clock::duration longest{};
        for (const Part& part : parts_) {
            const bool is_recent = part_of(now) - part.number < static_cast<int>(parts_.size());
            if (is_recent) longest = std::max(longest, part.longest);
        }
        return longest;
    }

  private:
    struct Part {
        std::int64_t number = -1000;
        Clock::duration longest{};
    };
    static std::int64_t part_of(Clock::time_point time) {
        return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count() /
               10;
    }

    std::array<Part, 7> parts_{};
    Clock::duration longest_{};
};

// Ends with `stop`, which is notified whenever `is_over` may have changed.
inline Task<> watch_pauses(Pauses& pauses, Event& stop, const bool& is_over) {
    constexpr std::chrono::milliseconds pace{100};
    while (!is_over) {
        const Deadline due = after(pace);
        const bool was_woken = co_await stop.wait_until(due);
        const auto now = Pauses::Clock::now();
        if (!was_woken && now > due) pauses.add(now, now - due);
    }
}

}  // namespace jamsock
