// Random words of a-z and 0-9: backends' ids, requests' ids. Any thread.
#pragma once

#include <cstddef>
#include <string>

namespace jamsock {

std::string random_word(std::size_t length);

// For the answer to a failed request, and the log.
inline std::string new_request_id() {
    constexpr std::size_t length = 6;
    return random_word(length);
}

}  // namespace jamsock
