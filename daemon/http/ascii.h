// The small ASCII questions of HTTP's grammar. Pure, independent of the locale.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace jamsock {

constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return to_lower(x) == to_lower(y);
           });
}

// A set of bytes that is asked in one look.
using ByteSet = std::array<bool, 256>;

constexpr ByteSet bytes_where(auto holds) {
    ByteSet set{};
    for (std::size_t byte = 0; byte < set.size(); ++byte)
        set[byte] = holds(static_cast<char>(byte));
    return set;
}

constexpr bool contains(const ByteSet& set, char c) {
    return set[static_cast<unsigned char>(c)];
}

// RFC 9110, 5.6.2: what methods and field names are made of.
inline constexpr ByteSet token_characters = bytes_where([](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
});

constexpr bool is_token_character(char c) {
    return contains(token_characters, c);
}

constexpr bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

// Without the spaces and tabs around it (RFC 9110, 5.6.3).
constexpr std::string_view trimmed(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

// Calls `visit` with each non-empty element of a comma-separated list (RFC 9110, 5.6.1).
template <class Visit>
constexpr void for_each_element(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        if (const auto element = trimmed(list.substr(0, comma)); !element.empty()) visit(element);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
}

}  // namespace jamsock
