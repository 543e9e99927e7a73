// The one wait of the tests: until a condition holds, or a deadline.
#pragma once

#include <poll.h>

#include <chrono>

#include "tests/support/sanitized.h"

namespace jamsock::test {

inline constexpr std::chrono::seconds patience{10};

template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = patience) {
    const auto deadline = std::chrono::steady_clock::now() + slowness * limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

}  // namespace jamsock::test
