#include "common/nearest_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace jamsock {

std::size_t typing_distance(std::string_view a, std::string_view b) {
    // Optimal string alignment: rows of the usual table, with the one before last for swaps.
    std::vector<std::size_t> before_last, last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

std::optional<std::string> nearest_name(std::string_view word,
                                        const std::vector<std::string>& names) {
    const std::string* nearest = nullptr;
    std::size_t least = 0;
    for (const std::string& name : names) {
        const std::size_t allowed = std::max<std::size_t>(1, name.size() / 3);
        const bool begins_so = word.size() >= 2 && name.starts_with(word);
        const std::size_t distance = begins_so ? 1 : typing_distance(word, name);
        if (distance > allowed || distance >= name.size()) continue;
        if (!nearest || distance < least) {
            nearest = &name;
            least = distance;
        }
    }
    if (!nearest) return std::nullopt;
    return *nearest;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names) {
    const auto nearest = nearest_name(word, names);
    return nearest ? fmt::format(" Did you mean '{}'?", *nearest) : "";
}

}  // namespace jamsock
