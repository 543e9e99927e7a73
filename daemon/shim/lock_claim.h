// What a key's lock file says: the last claim of the key, on one line. libc only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jamsock {

// No fencing token is greater: 2^53 - 1, the greatest integer that a JSON number carries exactly.
// The clock reaches it in 285,000 years, so a greater one in a file or a row is damage.
inline constexpr std::int64_t greatest_fencing_token = (std::int64_t{1} << 53) - 1;

struct LockClaim {
    std::int64_t token = 0;
    std::string backend = {};  // its id
    std::string mark = {};     // its JAMSOCK_MARK; empty in a claim by an older version
};

// A text that begins with no token (a new file, or one emptied by a power cut before its first
// claim was durable) is a claim of token 0; a number that doesn't fit counts as the greatest there
// is.
LockClaim parse_claim(std::string_view text);
LockClaim read_claim(int file);

// All are of one length, so that a shorter claim leaves nothing of a longer one behind, and within
// one sector of the disk, so that it is written whole or not at all.
std::string text_of(const LockClaim& claim);

}  // namespace jamsock
