#include "daemon/refusal_tally.h"

namespace jamsock {

bool RefusalTally::takes_line(const std::string& kind, std::size_t most_lines) {
    Kind& found = kinds_.try_emplace(kind, Kind{.begin = now_()}).first->second;
    if (found.lines < most_lines) {
        ++found.lines;
        return true;
    }
    ++found.counted;
    return false;
}

std::vector<RefusalTally::Sum> RefusalTally::take_sums() {
    return take_sums_begun_by(now_() - period);
}

std::vector<RefusalTally::Sum> RefusalTally::take_all_sums() {
    return take_sums_begun_by(BootClock::time_point::max());
}

std::vector<RefusalTally::Sum> RefusalTally::take_sums_begun_by(BootClock::time_point limit) {
    std::vector<Sum> sums;
    std::erase_if(kinds_, [&](const auto& entry) {
        const auto& [name, kind] = entry;
        if (kind.begin > limit) return false;
        if (kind.counted > 0) sums.push_back({name, kind.counted});
        return true;
    });
    return sums;
}

}  // namespace jamsock
