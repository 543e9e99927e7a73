// Characters that could move a cursor, hide text or turn its order about. Those without a width
// (U+200B to U+200D, U+2060, U+FEFF) are none of them: words and emoji have them. Pure.
#pragma once

namespace jamsock {

constexpr bool is_bidirectional_control(char32_t c) {
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

// C0, DEL, C1, and what ends a line or a paragraph.
constexpr bool is_control(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029;
}

}  // namespace jamsock
