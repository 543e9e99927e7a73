#include "daemon/api/log_lines.h"

#include <utf8.h>

#include <utility>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

// Beside the newline and CR, in one of the languages that parsers of events are written in.
bool ends_a_line_somewhere(char32_t c) {
    return c == 0x0B || c == 0x0C || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

void append_valid(std::string& line, const char* at, const char* end) {
    while (at != end) {
        const char* const start = at;
        const char32_t c = utf8::unchecked::next(at);
        if (c == '\r') {
            line += "\\r";
        } else if (ends_a_line_somewhere(c)) {
            line += replacement;
        } else {
            line.append(start, at);
        }
    }
}

// Where a piece of a line that is too long may end: not within a character, nor before a newline.
std::size_t end_of_piece(std::string_view line, std::size_t longest) {
    std::size_t end = longest;
    for (int back = 0; back < 3 && is_continuation(line[end]); ++back)
        --end;
    if (is_continuation(line[end])) return longest;  // no UTF-8 anyway
    return line[end - 1] == '\r' ? end - 1 : end;
}

}  // namespace

std::string event_line(std::string_view text) {
    std::string line;
    line.reserve(text.size());
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const char* const invalid = utf8::find_invalid(at, end);
        append_valid(line, at, invalid);
        if (invalid != end) line += replacement;
        at = invalid == end ? end : invalid + 1;
    }
    return line;
}

void LogLines::add(std::string_view bytes) {
    text_.erase(0, std::exchange(at_, 0));
    text_ += bytes;
}

std::optional<std::string> LogLines::next() {
    const std::string_view rest = std::string_view(text_).substr(at_);
    const std::size_t newline = rest.find('\n');
    std::string_view line = rest.substr(0, newline);
    const bool is_whole = newline != std::string_view::npos;
    if (is_whole && line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > longest + 1 || (is_whole && line.size() > longest)) {
        line = line.substr(0, end_of_piece(line, longest));
        at_ += line.size();
        return event_line(line);
    }
    if (!is_whole) {
        // Who follows may wait for long.
        text_.erase(0, std::exchange(at_, 0));
        text_.shrink_to_fit();
        return std::nullopt;
    }
    at_ += newline + 1;
    return event_line(line);
}

std::optional<std::string> LogLines::last() {
    if (at_ == text_.size()) return std::nullopt;
    return event_line(std::string_view(text_).substr(std::exchange(at_, text_.size())));
}

}  // namespace jamsock
