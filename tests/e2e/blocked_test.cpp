// What stops the daemon doesn't: nobody waits for what is slow on another's behalf.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

double seconds_of(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// No state of a matcher for "(a|b)*a(a|b){200}c{3}" comes twice in it.
std::string lines_of_two_letters(int count) {
    std::string lines;
    unsigned state = 1;
    for (int line = 0; line < count; ++line) {
        for (int at = 0; at < 4000; ++at) {
            state = state * 1664525 + 1013904223;
            lines += (state >> 24) % 2 == 0 ? 'a' : 'b';
        }
        lines += '\n';
    }
    return lines;
}

}  // namespace

TEST_CASE("a costly pattern for one backend's output delays no other key") {
    const Home home;
    const TemporaryDirectory files;
    std::ofstream(files.path("lines")) << lines_of_two_letters(500);
    home.output_of({"service", "create", "plain", "--", test_backend()});
    home.output_of({"service", "create", "costly", "--ready-log", "(a|b)*a(a|b){200}c{3}", "--",
                    "/bin/sh", "-c", "cat " + files.path("lines") + "; exec sleep 60"});
    home.output_of({"connect", "costly", "--key", "a", "--no-wait"});
    home.output_of({"connect", "costly", "--key", "b", "--no-wait"});
    for (const char* key : {"1", "2", "3"}) {
        const double seconds = seconds_of([&] {
            home.output_of({"connect", "plain", "--key", key});
        });
        CHECK(seconds < 5);
    }
}
