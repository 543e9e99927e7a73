#include "common/log_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace jamsock {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The bytes of the bracket expression that `text` begins with: all of it, if it doesn't end.
std::size_t length_of_bracket(std::string_view text) {
    std::size_t at = text.starts_with("[^") ? 2 : 1;
    if (text.substr(at).starts_with(']')) ++at;
    while (at < text.size() && text[at] != ']') {
        const std::string_view rest = text.substr(at);
        const bool is_named =
            rest.starts_with("[:") || rest.starts_with("[.") || rest.starts_with("[=");
        if (!is_named) {
            ++at;
            continue;
        }
        const std::size_t end = rest.find(std::string{rest[1], ']'}, 2);
        if (end == std::string_view::npos) return text.size();
        at += end + 2;
    }
    return std::min(at + 1, text.size());
}

// Takes a number off the front of `text`; one that is too large is the largest.
std::optional<std::size_t> take_number(std::string_view& text) {
    std::size_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed == std::errc::invalid_argument) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return failed == std::errc() ? std::min(number, longest_written_out + 1)
                                 : longest_written_out + 1;
}

struct Interval {
    std::size_t length;  // in bytes
    std::size_t copies;  // of what is repeated; a{2,} is aaa*
};

// {m}, {m,} or {m,n}, also without an m, at the front of `text`; none is left to regcomp.
std::optional<Interval> interval_in(std::string_view text) {
    std::string_view rest = text.substr(1);
    const auto least = take_number(rest);
    std::size_t copies = least.value_or(0);
    if (rest.starts_with(',')) {
        rest.remove_prefix(1);
        copies = take_number(rest).value_or(copies + 1);
    }
    if (!rest.starts_with('}')) return std::nullopt;
    return Interval{text.size() - rest.size() + 1, std::max<std::size_t>(1, copies)};
}

// The length of a pattern with its repetitions written out.
class WrittenOut {
  public:
    std::size_t length() const { return length_; }
    void add_one() {
        last_ = 1;
        ++length_;
    }
    void add_mark() {
        ++last_;
        ++length_;
    }
    void repeat(std::size_t copies) {
        length_ += last_ * (copies - 1);
        last_ *= copies;
    }
    void open_group() {
        groups_.push_back(length_);
        add_one();
    }
    void close_group() {
        if (groups_.empty()) return add_one();  // an ordinary character
        last_ = length_ - groups_.back();
        groups_.pop_back();
    }

  private:
    std::size_t length_ = 0;
    std::size_t last_ = 1;             // of it, what a repetition would repeat
    std::vector<std::size_t> groups_;  // where those begin that are open
};

// Counts what `rest` begins with, and returns its bytes.
std::size_t count(WrittenOut& written, std::string_view rest) {
    const auto interval = rest[0] == '{' ? interval_in(rest) : std::nullopt;
    if (interval) {
        written.repeat(interval->copies);
    } else if (rest[0] == '+') {
        written.repeat(2);
    } else if (rest[0] == '*' || rest[0] == '?') {
        written.add_mark();
    } else if (rest[0] == '(') {
        written.open_group();
    } else if (rest[0] == ')') {
        written.close_group();
    } else {
        written.add_one();
    }
    if (interval) return interval->length;
    if (rest[0] == '[') return length_of_bracket(rest);
    return rest[0] == '\\' ? std::min<std::size_t>(2, rest.size()) : 1;
}

}  // namespace

std::optional<std::string> objection_to(std::string_view pattern) {
    WrittenOut written;
    for (std::size_t at = 0; at < pattern.size();) {
        const std::string_view rest = pattern.substr(at);
        if (rest[0] == '\\' && rest.size() > 1 && is_digit(rest[1])) {
            return fmt::format(
                "has at byte {} a back-reference, {}, which no extended regular expression has",
                at + 1, rest.substr(0, 2));
        }
        const std::size_t length = count(written, rest);
        if (written.length() > longest_written_out) {
            return fmt::format(
                "is at byte {} too long: with its repetitions written out it may have {} "
                "characters",
                at + 1, longest_written_out);
        }
        at += length;
    }
    return std::nullopt;
}

}  // namespace jamsock
