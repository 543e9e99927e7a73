// Which refused requests get a line of their own in the log, and which are only counted: nobody
// fills the disk by asking for what is refused. Pure but for the clock; not locked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"

namespace jamsock {

class RefusalTally {
  public:
    static constexpr std::chrono::minutes period{1};

    explicit RefusalTally(BootNow now = &BootClock::now) : now_(now) {}

    // Whether this refusal gets a line: the first `most_lines` of its kind in a period do, the
    // others are counted. The caller has few kinds, and none of them is a stranger's words.
    bool takes_line(const std::string& kind, std::size_t most_lines);

    struct Sum {
        std::string kind;
        std::uint64_t count;  // without a line
    };
    // Of the kinds whose period has ended; their next refusal is a first one again.
    std::vector<Sum> take_sums();
    // Of all kinds.
    std::vector<Sum> take_all_sums();

  private:
    struct Kind {
        BootClock::time_point begin;
        std::size_t lines = 0;
        std::uint64_t counted = 0;
    };
    std::vector<Sum> take_sums_begun_by(BootClock::time_point limit);

    BootNow now_;
    std::map<std::string, Kind> kinds_;
};

}  // namespace jamsock
