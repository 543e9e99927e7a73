// What a pattern for a line of output may be beyond the syntax of POSIX extended regular
// expressions (XBD 9.4): bounded in what compiling and matching it take. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jamsock {

// Of a pattern whose repetitions are written out (a{2,3} as aaa, a+ as aa*): characters, bracket
// expressions, groups, bars and marks count 1 each. The C library makes a node of each.
inline constexpr std::size_t longest_written_out = 1024;

// Why `pattern` is refused before it is compiled, with the byte, for a sentence that names it
// before and after; none if it isn't. What is no pattern at all is left to regcomp.
std::optional<std::string> objection_to(std::string_view pattern);

}  // namespace jamsock
