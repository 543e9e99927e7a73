// How every token here is written: 32 bytes in base64url without padding. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace jamsock {

inline constexpr std::size_t token_length = 43;

constexpr bool may_be_of_token(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

constexpr bool has_token_form(std::string_view text) {
    return text.size() == token_length && std::ranges::all_of(text, may_be_of_token);
}

}  // namespace jamsock
