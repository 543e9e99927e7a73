#include "daemon/refusal_tally.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

BootClock::time_point present;

RefusalTally at_the_start() {
    present = {};
    return RefusalTally([] { return present; });
}

}  // namespace

TEST_CASE("the first refusal of a kind has a line, and the others of its minute are one sum") {
    RefusalTally tally = at_the_start();
    CHECK(tally.takes_line("NotFound", 1));
    for (int i = 0; i < 96'290; ++i)
        CHECK_FALSE(tally.takes_line("NotFound", 1));
    CHECK(tally.takes_line("InvalidAuth", 1));
    present += std::chrono::seconds(59);
    CHECK(tally.take_sums().empty());
    present += std::chrono::seconds(1);
    const auto sums = tally.take_sums();
    REQUIRE(sums.size() == 1);
    CHECK(sums[0].kind == "NotFound");
    CHECK(sums[0].count == 96'290);
    CHECK(tally.takes_line("NotFound", 1));
    CHECK(tally.take_sums().empty());
}

TEST_CASE("a kind has as many lines in a minute as it may have") {
    RefusalTally tally = at_the_start();
    for (int i = 0; i < 3; ++i)
        CHECK(tally.takes_line("KeyHeld", 3));
    CHECK_FALSE(tally.takes_line("KeyHeld", 3));
}

TEST_CASE("at the end what was counted so far is a sum") {
    RefusalTally tally = at_the_start();
    tally.takes_line("KeyHeld", 1);
    CHECK(tally.take_all_sums().empty());
    tally.takes_line("KeyHeld", 1);
    tally.takes_line("KeyHeld", 1);
    const auto sums = tally.take_all_sums();
    REQUIRE(sums.size() == 1);
    CHECK(sums[0].count == 1);
}
