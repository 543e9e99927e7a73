// A pattern for a line of output: a regular expression in RE2's syntax, over bytes. Matching takes
// time in proportion to the line and the pattern's size, both of which are bounded, and a bounded
// amount of memory, whatever the pattern is. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace re2 {
class RE2;
}

namespace jamsock {

class LogPattern {
  public:
    // In RE2's instructions: what one line may cost is the product of this and its length.
    static constexpr int largest_program = 4096;
    static constexpr std::size_t most_memory = 512 * 1024;

    // The error is why `text` is refused, for a sentence that begins with what is called so.
    static tl::expected<LogPattern, std::string> compile(const std::string& text);

    LogPattern(LogPattern&&) noexcept;
    LogPattern& operator=(LogPattern&&) noexcept;
    ~LogPattern();

    // Whether a part of the line matches. The line may hold any bytes.
    bool matches(std::string_view line) const;

  private:
    explicit LogPattern(std::unique_ptr<const re2::RE2> compiled);
    std::unique_ptr<const re2::RE2> compiled_;
};

}  // namespace jamsock
