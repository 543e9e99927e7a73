#include "daemon/pauses.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace jamsock;
using namespace std::chrono_literals;

TEST_CASE("the longest pause is kept for ever, and that of the last minute for a minute") {
    Pauses pauses;
    const Pauses::Clock::time_point begin{1000s};
    CHECK(pauses.longest() == 0s);
    CHECK(pauses.lately(begin) == 0s);
    pauses.add(begin, 3s);
    pauses.add(begin + 5s, 1s);
    CHECK(pauses.lately(begin + 60s) == 3s);
    pauses.add(begin + 40s, 2s);
    CHECK(pauses.lately(begin + 75s) == 2s);
    CHECK(pauses.longest() == 3s);
    pauses.add(begin + 700s, 1s);
    CHECK(pauses.lately(begin + 700s) == 1s);
    CHECK(pauses.lately(begin + 7000s) == 0s);
    CHECK(pauses.longest() == 3s);
}

TEST_CASE("a handler that keeps its loop is seen") {
    asio::io_context loop;
    Pauses pauses;
    Event stop;
    bool is_over = false;
    asio::co_spawn(loop, watch_pauses(pauses, stop, is_over), asio::detached);
    asio::co_spawn(
        loop,
        [&]() -> Task<> {
            ::poll(nullptr, 0, 400);
            co_await sleep_for(1ms);
            is_over = true;
            stop.notify_all();
        },
        asio::detached);
    loop.run();
    CHECK(pauses.longest() >= 200ms);
}
