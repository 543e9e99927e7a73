// Lays out help for a terminal of 80 columns. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace jamsock {

inline constexpr std::size_t help_columns = 79;

// `text`, which begins at column `start`, with its words on as many lines as it needs; those behind
// the first are indented to `indent`. Ends with a newline.
std::string wrapped(std::string_view text, std::size_t start, std::size_t indent);

// Whole lines, laid out anew: paragraphs, and entries ("  TERM  what it means", going on further
// in). A line of two blanks and no more of them is a command and stays as it is.
std::string reflowed(std::string_view lines);

}  // namespace jamsock
