// When a backend's supervision has what to do, in milliseconds of CLOCK_BOOTTIME: it goes on while
// the machine sleeps, and nobody can set it. Pure: is told the time. libc only.
#pragma once

#include <array>
#include <cstddef>

namespace jamsock {

enum class Due {
    lifetime_end,  // then it is ended softly: the deadline that the daemon set
    program_runs,  // by then, else it is ended hard: exec hangs, or what comes before it
    grace_end,     // then a soft ending becomes hard
    next_kill,     // then SIGKILL is sent again
    lock_check,    // the backend may have unlocked it, and there may be no inotify
    accept,        // after a failed accept
};

class DueTimes {
  public:
    static constexpr long long never = 0;

    // `never` takes it back.
    void set(Due what, long long at) { time(what) = at; }
    bool is_set(Due what) const { return times_[static_cast<std::size_t>(what)] != never; }

    // Whether its time has come; true once, then it is taken back.
    bool take(Due what, long long now) {
        const bool has_come = is_set(what) && time(what) <= now;
        if (has_come) time(what) = never;
        return has_come;
    }

    // The first of all; `never` if none is set.
    long long next() const {
        long long first = never;
        for (const long long at : times_)
            first = earlier(first, at);
        return first;
    }

    // The earlier of two, of which one or both may be `never`.
    static constexpr long long earlier(long long a, long long b) {
        if (a == never) return b;
        return b == never || a < b ? a : b;
    }

  private:
    long long& time(Due what) { return times_[static_cast<std::size_t>(what)]; }

    std::array<long long, 6> times_{};
};

}  // namespace jamsock
