// How long to wait before a lost channel is made anew: whoever else wants it may take it again at
// once, and two that take it from each other would do nothing else. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace jamsock {

class LossBackoff {
  public:
    using Clock = std::chrono::steady_clock;

    void connected(Clock::time_point now) { connected_at_ = now; }

    // Nothing after a channel that has lasted, else longer each time.
    Clock::duration after_loss(Clock::time_point now) {
        const Clock::duration before = pause_;
        const bool has_lasted = now - connected_at_ >= longest;
        pause_ = has_lasted ? Clock::duration{}
                            : std::clamp<Clock::duration>(2 * before, first, longest);
        return has_lasted ? pause_ : before;
    }

  private:
    static constexpr Clock::duration first = std::chrono::milliseconds(10);
    static constexpr Clock::duration longest = std::chrono::seconds(1);

    Clock::time_point connected_at_ = {};
    Clock::duration pause_{};
};

}  // namespace jamsock
