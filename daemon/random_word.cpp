#include "daemon/random_word.h"

#include <sodium.h>

#include <string_view>

namespace jamsock {

std::string random_word(std::size_t length) {
    constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::string word(length, ' ');
    for (char& c : word) {
        c = alphabet[::randombytes_uniform(static_cast<std::uint32_t>(alphabet.size()))];
    }
    return word;
}

}  // namespace jamsock
