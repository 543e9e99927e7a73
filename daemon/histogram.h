// How often something took how long, in buckets as Prometheus has them. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace jamsock {

class Histogram {
  public:
    // Seconds: from a write into memory to the limit of a start.
    static constexpr std::array bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                       0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                       1.0,    2.5,     5.0,    10.0,  30.0};

    void add(std::chrono::duration<double> duration) {
        const double seconds = duration.count();
        ++counts_[static_cast<std::size_t>(std::ranges::lower_bound(bounds, seconds) -
                                           bounds.begin())];
        sum_ += seconds;
    }
    // How many took no longer than bounds[i], and were longer than the bound before; the last: all
    // that were longer.
    const std::array<std::uint64_t, bounds.size() + 1>& counts() const { return counts_; }
    double sum() const { return sum_; }

  private:
    std::array<std::uint64_t, bounds.size() + 1> counts_{};
    double sum_ = 0;
};

}  // namespace jamsock
