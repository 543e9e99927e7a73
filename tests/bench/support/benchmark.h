// What every benchmark is: one function, which prints rows of the table.
#pragma once

#include <chrono>
#include <vector>

namespace jamsock::bench {

// How much is measured; next to nothing if the program's only argument is "smoke".
struct Extent {
    int rounds = 0;
    std::chrono::milliseconds slice{};  // one program's part of a round
    int calls = 0;                      // … where calls are counted
    std::vector<int> backends;          // how many are to live, in steps
};

void measure(const Extent& extent);

}  // namespace jamsock::bench
