#include "daemon/http/chunked.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "daemon/http/ascii.h"
#include "daemon/http/scan.h"

namespace jamsock {

namespace {

using Slices = std::vector<std::string_view>;

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t most_digits = 16;
constexpr std::size_t longest_extensions = 1024;

std::optional<unsigned> hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    const char letter = to_lower(c);
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    return std::nullopt;
}

// The begin of a text that may go on: nothing is known before it is long enough.
enum class Match { yes, not_yet, no };

Match match_line_end(std::string_view text) {
    if (text.starts_with(line_end)) return Match::yes;
    return line_end.starts_with(text) ? Match::not_yet : Match::no;
}

struct SizeLine {
    Match match = Match::no;
    std::uint64_t size = 0;
    std::size_t digits = 0;
    std::size_t length = 0;  // without its end
};

void read_digits(std::string_view text, SizeLine& line) {
    while (line.digits < std::min(text.size(), most_digits)) {
        const auto digit = hex_digit(text[line.digits]);
        if (!digit) break;
        line.size = line.size << 4U | *digit;
        ++line.digits;
    }
}

// RFC 9112, 7.1.1: from the semicolon on. Blanks, which its grammar has within quotes and around
// signs, are refused: nobody sends them but to be read in two ways.
std::size_t extensions_length(std::string_view text) {
    return text.starts_with(';') ? find_control_or_space(text) : 0;
}

SizeLine read_size_line(std::string_view text) {
    SizeLine line;
    read_digits(text, line);
    if (line.digits == 0) {
        line.match = text.empty() ? Match::not_yet : Match::no;
        return line;
    }
    const std::size_t extensions = extensions_length(text.substr(line.digits));
    if (extensions > longest_extensions || line.size > std::numeric_limits<std::int64_t>::max()) {
        return line;
    }
    line.length = line.digits + extensions;
    line.match = match_line_end(text.substr(line.length));
    return line;
}

// Behind the last slice, or as one of its own.
void append(Slices& slices, std::string_view slice) {
    if (slice.empty()) return;
    if (!slices.empty() && slices.back().data() + slices.back().size() == slice.data()) {
        slices.back() = {slices.back().data(), slices.back().size() + slice.size()};
    } else {
        slices.push_back(slice);
    }
}

}  // namespace

ChunkedReader::Step ChunkedReader::read(std::string_view input, Slices& slices) {
    trailers_.clear();
    std::size_t at = 0;
    while (!is_done()) {
        switch (take_next(input, at, slices)) {
            case Taken::some:
                break;
            case Taken::none:
                return {.consumed = at, .is_malformed = input.size() - at > longest_head};
            case Taken::malformed:
                return {.consumed = at, .is_malformed = true};
        }
    }
    return {.consumed = at};
}

ChunkedReader::Taken ChunkedReader::take_next(std::string_view input, std::size_t& at,
                                              Slices& slices) {
    const std::string_view rest = input.substr(at);
    switch (expected_) {
        case Expected::size_line:
            return take_size_line(rest, at, slices);
        case Expected::data:
            return take_data(rest, at, slices);
        case Expected::data_end:
            return take_data_end(rest, at, slices);
        case Expected::trailers:
            return take_trailers(rest, at);
        case Expected::nothing:
            break;
    }
    return Taken::none;
}

ChunkedReader::Taken ChunkedReader::take_size_line(std::string_view rest, std::size_t& at,
                                                   Slices& slices) {
    const SizeLine line = read_size_line(rest);
    if (line.match == Match::no) return Taken::malformed;
    if (line.match == Match::not_yet) return Taken::none;
    left_ = line.size;
    expected_ = left_ == 0 ? Expected::trailers : Expected::data;
    if (left_ > 0 && pass_ == Pass::framing_and_data) {
        append(slices, rest.substr(0, line.digits));
        append(slices, rest.substr(line.length, line_end.size()));
    }
    at += line.length + line_end.size();
    return Taken::some;
}

ChunkedReader::Taken ChunkedReader::take_data(std::string_view rest, std::size_t& at,
                                              Slices& slices) {
    if (rest.empty()) return Taken::none;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
    append(slices, rest.substr(0, size));
    left_ -= size;
    at += size;
    if (left_ == 0) expected_ = Expected::data_end;
    return Taken::some;
}

ChunkedReader::Taken ChunkedReader::take_data_end(std::string_view rest, std::size_t& at,
                                                  Slices& slices) {
    switch (match_line_end(rest)) {
        case Match::no:
            return Taken::malformed;
        case Match::not_yet:
            return Taken::none;
        case Match::yes:
            break;
    }
    if (pass_ == Pass::framing_and_data) append(slices, rest.substr(0, line_end.size()));
    at += line_end.size();
    expected_ = Expected::size_line;
    return Taken::some;
}

ChunkedReader::Taken ChunkedReader::take_trailers(std::string_view rest, std::size_t& at) {
    const Match no_trailers = match_line_end(rest);
    if (no_trailers == Match::not_yet) return Taken::none;
    auto size = std::optional(line_end.size());
    if (no_trailers == Match::no) size = head_size(rest, seen_);
    if (!size) {
        seen_ = rest.size();
        return Taken::none;
    }
    if (*size > longest_head || parse_fields(rest.substr(0, *size), trailers_)) {
        return Taken::malformed;
    }
    at += *size;
    expected_ = Expected::nothing;
    return Taken::some;
}

}  // namespace jamsock
