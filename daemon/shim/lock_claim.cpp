#include "daemon/shim/lock_claim.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace jamsock {

namespace {

// The token's 19 digits hold any number, and an id has 45 characters at most.
constexpr const char* format = "%-19lld %-45.45s %-70.70s\n";
constexpr std::size_t length = 19 + 1 + 45 + 1 + 70 + 1;

// Takes the next word off the front.
std::string next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return std::string(word);
}

}  // namespace

LockClaim parse_claim(std::string_view text) {
    std::string_view line = text.substr(0, text.find('\n'));
    LockClaim claim;
    const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), claim.token);
    if (failed == std::errc::invalid_argument) return {};
    if (failed == std::errc::result_out_of_range)
        claim.token = std::numeric_limits<std::int64_t>::max();
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    claim.backend = next_word(line);
    claim.mark = next_word(line);
    return claim;
}

LockClaim read_claim(int file) {
    char text[length];
    const ssize_t got = ::pread(file, text, sizeof text, 0);
    return parse_claim(std::string_view(text, got > 0 ? static_cast<std::size_t>(got) : 0));
}

std::string text_of(const LockClaim& claim) {
    char text[length + 2];  // a sign and the end of text
    ::snprintf(text, sizeof text, format, static_cast<long long>(claim.token),
               claim.backend.c_str(), claim.mark.c_str());
    return text;
}

}  // namespace jamsock
