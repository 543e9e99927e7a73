// Text for human eyes, and text for shells. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

// `text` with what could move a cursor, ring a bell or hide text written as escapes: C0, DEL, C1,
// bidirectional controls and bytes that are no UTF-8 (\xNN, \u{NNNN}); tab and newline as \t, \n.
std::string escaped(std::string_view text);

// `escaped(text)` between single quotes, for a sentence.
std::string in_quotes(std::string_view text);

// `word` between single quotes, exact, as sh reads it.
std::string single_quoted(std::string_view word);

// `words` as one shell command line that means them: quoted where needed; control characters and
// bytes that are no UTF-8 as bash, zsh and ksh read them ($'\t').
std::string shell_line(const std::vector<std::string>& words);

// Whether one of `escaped`'s control characters is in `text`, or a byte that is no UTF-8.
bool has_control_character(std::string_view text);

// `text` as HTML shows it, also inside a quoted attribute.
std::string html_escaped(std::string_view text);

// Whether a character of UTF-8 goes on with this byte.
constexpr bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

// `text` in a URL: all but RFC 3986's unreserved characters and those of `plain` as %NN.
std::string percent_encoded(std::string_view text, std::string_view plain = {});

// A whole number without sign or spaces; false if `text` is none or too large.
bool parse_number(std::string_view text, long long& number);

}  // namespace jamsock
