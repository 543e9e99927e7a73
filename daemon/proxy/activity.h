// How busy one backend is: the requests in flight, and when the last one ended. Shared by the proxy
// threads, which enter and leave, and the control thread, which may close it. Lock-free.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "common/clock.h"

namespace jamsock {

class Activity {
  public:
    explicit Activity(BootNow now = &BootClock::now) : now_(now), last_active_(ticks_now()) {}

    // A request enters unless the backend is closed. Whoever entered leaves exactly once.
    bool enter() {
        std::uint64_t seen = word_.load(std::memory_order_relaxed);
        do {
            if (seen & closed_bit) return false;
        } while (
            !word_.compare_exchange_weak(seen, seen + one_entry + 1, std::memory_order_acq_rel));
        return true;
    }
    void leave() {
        touch();
        word_.fetch_sub(1, std::memory_order_acq_rel);
    }

    // From now on nobody enters. Those inside go on.
    void close() { word_.fetch_or(closed_bit, std::memory_order_acq_rel); }

    // Closes if nobody has been inside for `limit`; so no request is ever cut by the idle clock.
    bool close_if_idle(BootClock::duration limit) {
        std::uint64_t seen = word_.load(std::memory_order_acquire);
        if ((seen & (closed_bit | in_flight_mask)) != 0 || now_() - last_active() < limit) {
            return false;
        }
        return word_.compare_exchange_strong(seen, seen | closed_bit, std::memory_order_acq_rel);
    }

    bool is_closed() const { return (word_.load(std::memory_order_acquire) & closed_bit) != 0; }
    std::uint32_t in_flight() const {
        return static_cast<std::uint32_t>(word_.load(std::memory_order_acquire) & in_flight_mask);
    }

    // Restarts the idle clock: a request ended, a URL was handed out, the backend became ready.
    void touch() { last_active_.store(ticks_now(), std::memory_order_release); }
    BootClock::time_point last_active() const {
        return BootClock::time_point(
            BootClock::duration(last_active_.load(std::memory_order_acquire)));
    }
    // 0 while a request is in flight.
    std::int64_t idle_seconds() const {
        if (in_flight() != 0) return 0;
        return std::chrono::duration_cast<std::chrono::seconds>(now_() - last_active()).count();
    }

  private:
    // Bits 0–30 count who is inside, bit 31 is `closed`, bits 32–63 count all who ever entered: a
    // request that came and went between a look and a close makes the close fail.
    static constexpr std::uint64_t closed_bit = 1ULL << 31;
    static constexpr std::uint64_t in_flight_mask = closed_bit - 1;
    static constexpr std::uint64_t one_entry = 1ULL << 32;

    std::int64_t ticks_now() const { return now_().time_since_epoch().count(); }

    BootNow now_;
    std::atomic<std::uint64_t> word_{0};
    std::atomic<std::int64_t> last_active_;
};

// Being inside, for as long as it lives.
class Admission {
  public:
    // Nothing if the backend is closed.
    static std::optional<Admission> enter(std::shared_ptr<Activity> activity) {
        if (!activity->enter()) return std::nullopt;
        return Admission(std::move(activity));
    }
    Admission(Admission&&) noexcept = default;
    Admission& operator=(Admission&& other) noexcept {
        std::swap(activity_, other.activity_);
        return *this;
    }
    ~Admission() {
        if (activity_) activity_->leave();
    }

  private:
    explicit Admission(std::shared_ptr<Activity> activity) : activity_(std::move(activity)) {}
    std::shared_ptr<Activity> activity_;
};

}  // namespace jamsock
