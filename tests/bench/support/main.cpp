// The main of every benchmark.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <exception>
#include <iostream>
#include <string_view>

#include "tests/bench/support/benchmark.h"

using namespace jamsock::bench;

namespace {

Extent extent_of(int argc, char** argv) {
    using namespace std::chrono_literals;
    if (argc == 2 && std::string_view(argv[1]) == "smoke") {
        return {.rounds = 1, .slice = 50ms, .calls = 2, .backends = {0, 2, 4}};
    }
    return {.rounds = 15, .slice = 400ms, .calls = 15, .backends = {0, 200, 1000}};
}

}  // namespace

int main(int argc, char** argv) {
    doctest::Context checks;  // those of the tests' support code
    checks.setAsDefaultForAssertsOutOfTestCases();
    try {
        measure(extent_of(argc, argv));
    } catch (const std::exception& failure) {
        std::cerr << argv[0] << ": " << failure.what() << '\n';
        return 1;
    }
    return 0;
}
