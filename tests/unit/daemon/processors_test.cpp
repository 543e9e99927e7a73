#include "daemon/processors.h"

#include <doctest/doctest.h>

#include <thread>

using namespace jamsock;

TEST_CASE("a thread that is kept to one processor can use one") {
    unsigned usable = 0;
    std::thread([&usable] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &set);
        REQUIRE(::sched_setaffinity(0, sizeof set, &set) == 0);
        usable = usable_processors();
    }).join();
    CHECK(usable == 1);
    CHECK(usable_processors() >= 1);
}
