// Looks for the first byte that a part of a message may not have, a block of bytes at a time: this
// is where the time of reading a head goes. Pure.
#pragma once

#include <experimental/simd>
#include <string_view>

namespace jamsock {

using ByteBlock = std::experimental::native_simd<unsigned char>;

// Where the first byte is that `ends` holds for; the text's size if there is none. `ends` maps
// a block to a mask.
template <class Ends>
std::size_t find_first(std::string_view text, Ends ends) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t at = 0;
    for (; text.size() - at >= ByteBlock::size(); at += ByteBlock::size()) {
        const auto found = ends(ByteBlock(bytes + at, std::experimental::element_aligned));
        if (any_of(found)) return at + static_cast<std::size_t>(find_first_set(found));
    }
    // One block at the text's end, some of which was looked at, or byte by byte if there is no
    // room.
    if (at < text.size() && text.size() >= ByteBlock::size()) {
        at = text.size() - ByteBlock::size();
        const auto found = ends(ByteBlock(bytes + at, std::experimental::element_aligned));
        return any_of(found) ? at + static_cast<std::size_t>(find_first_set(found)) : text.size();
    }
    while (at < text.size() && !any_of(ends(ByteBlock(bytes[at]))))
        ++at;
    return at;
}

// RFC 9110, 5.5: all but tab, space, visible ASCII and the bytes above it; and the tab.
inline std::size_t find_control(std::string_view text) {
    return find_first(text, [](const ByteBlock& bytes) { return bytes < 0x20 || bytes == 0x7F; });
}

// The same, and the space.
inline std::size_t find_control_or_space(std::string_view text) {
    return find_first(text, [](const ByteBlock& bytes) { return bytes <= 0x20 || bytes == 0x7F; });
}

// What is no letter, digit or dash.
inline std::size_t find_other_than_word(std::string_view text) {
    return find_first(text, [](const ByteBlock& bytes) {
        const ByteBlock letters = (bytes | 0x20) - int{'a'};
        const ByteBlock digits = bytes - int{'0'};
        return letters > 25 && digits > 9 && bytes != int{'-'};
    });
}

}  // namespace jamsock
