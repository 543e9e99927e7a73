#include "daemon/backends/usage.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/eventually.h"

using namespace jamsock;
using namespace std::chrono_literals;

namespace {

// Below this process, as if it were a shim.
Usage below_us() {
    const auto usage = usage_of_tree(all_processes(), ::getpid(), "");
    REQUIRE(usage);
    return *usage;
}

// A process whose child does the work.
pid_t start_busy_grandchild() {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setpgid(0, 0);
    if (::fork() == 0) {
        while (true)
            continue;
    }
    ::pause();
    ::_exit(0);
}

}  // namespace

TEST_CASE("a process's memory and its processor time, children included, stand in its stat") {
    const char* const stat =
        "12 (a) b (c) S 1 12 12 0 -1 4194560 1 2 3 4 100 20 3 7 20 0 1 0 500 9000000 250 18446";
    const auto usage = parse_usage(stat, 4096, 100);
    REQUIRE(usage);
    CHECK(usage->memory == 250 * 4096);
    CHECK(usage->cpu_time == 1300ms);
    CHECK_FALSE(parse_usage("12 (a) S 1 2 3", 4096, 100));
    CHECK_FALSE(parse_usage("", 4096, 100));
}

TEST_CASE("available memory is looked up by its name") {
    CHECK(parse_available("MemTotal: 9 kB\nMemAvailable:      1024 kB\nBuffers: 1 kB\n") ==
          1024 * 1024);
    CHECK_FALSE(parse_available("MemTotal: 9 kB\n"));
}

TEST_CASE("a tree's use has what its youngest does") {
    const pid_t child = start_busy_grandchild();
    CHECK(test::eventually([] { return below_us().cpu_time > 50ms; }));
    const Usage living = below_us();
    CHECK(living.memory > 0);
    CHECK(living.memory_available > 1024 * 1024);
    ::kill(-child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(usage_of_tree(all_processes(), ::getpid(), ""));
}
