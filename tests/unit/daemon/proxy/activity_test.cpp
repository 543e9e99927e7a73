#include "daemon/proxy/activity.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace jamsock {

using namespace std::chrono_literals;

TEST_CASE("a closed backend lets nobody in, and those inside go on") {
    const auto activity = std::make_shared<Activity>();
    auto inside = Admission::enter(activity);
    REQUIRE(inside.has_value());
    activity->close();
    CHECK(activity->is_closed());
    CHECK_FALSE(Admission::enter(activity).has_value());
    CHECK(activity->in_flight() == 1);
    inside.reset();
    CHECK(activity->in_flight() == 0);
}

TEST_CASE("a moved admission leaves once") {
    const auto activity = std::make_shared<Activity>();
    {
        auto first = Admission::enter(activity);
        const Admission second = std::move(*first);
        CHECK(activity->in_flight() == 1);
    }
    CHECK(activity->in_flight() == 0);
}

TEST_CASE("a backend with a request in flight is not idle, however long ago the last one ended") {
    Activity activity;
    REQUIRE(activity.enter());
    CHECK_FALSE(activity.close_if_idle(0s));
    CHECK(activity.idle_seconds() == 0);
    activity.leave();
    CHECK_FALSE(activity.close_if_idle(1h));
    CHECK(activity.close_if_idle(0s));
    CHECK(activity.is_closed());
    CHECK_FALSE(activity.close_if_idle(0s));
}

TEST_CASE("the end of a request restarts the idle clock") {
    Activity activity;
    const auto before = activity.last_active();
    REQUIRE(activity.enter());
    CHECK(activity.last_active() == before);
    activity.leave();
    CHECK(activity.last_active() > before);
}

TEST_CASE("entering and closing from several threads never lets anybody into a closed backend") {
    for (int round = 0; round < 50; ++round) {
        const auto activity = std::make_shared<Activity>();
        std::atomic<int> inside_after_close = 0;
        std::atomic<bool> closed = false;
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                while (const auto admission = Admission::enter(activity)) {
                    if (closed) ++inside_after_close;
                }
            });
        }
        while (!activity->close_if_idle(0s))
            std::this_thread::yield();
        closed = true;
        for (std::thread& thread : threads)
            thread.join();
        CHECK(inside_after_close == 0);
        CHECK(activity->in_flight() == 0);
    }
}

}  // namespace jamsock
