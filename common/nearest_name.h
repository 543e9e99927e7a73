// "Did you mean": the name closest to a mistyped one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

// The number of letters to insert, remove, replace or swap with their neighbour to make `a` of `b`.
std::size_t typing_distance(std::string_view a, std::string_view b);

// The nearest of `names`, if it is near enough to be what was meant: a third of its letters wrong
// at most, or `word` is how it begins.
std::optional<std::string> nearest_name(std::string_view word,
                                        const std::vector<std::string>& names);

// " Did you mean 'lookup'?", or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names);

}  // namespace jamsock
