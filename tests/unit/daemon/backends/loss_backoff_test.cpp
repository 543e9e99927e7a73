#include "daemon/backends/loss_backoff.h"

#include <doctest/doctest.h>

using namespace jamsock;
using namespace std::chrono_literals;

TEST_CASE("a channel that is lost again and again is waited for longer each time, up to a second") {
    LossBackoff backoff;
    LossBackoff::Clock::time_point now{1h};
    backoff.connected(now);
    CHECK(backoff.after_loss(now) == 0ms);
    CHECK(backoff.after_loss(now) == 10ms);
    CHECK(backoff.after_loss(now) == 20ms);
    for (int i = 0; i < 10; ++i)
        backoff.after_loss(now);
    CHECK(backoff.after_loss(now) == 1s);
}

TEST_CASE("a channel that has lasted is made anew at once") {
    LossBackoff backoff;
    LossBackoff::Clock::time_point now{1h};
    CHECK(backoff.after_loss(now) == 0ms);
    for (int i = 0; i < 5; ++i)
        backoff.after_loss(now);
    backoff.connected(now);
    CHECK(backoff.after_loss(now + 2s) == 0ms);
    backoff.connected(now + 2s);
    CHECK(backoff.after_loss(now + 2s) == 0ms);
}
