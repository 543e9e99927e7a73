#include "daemon/shim/due_times.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a lifetime ends at its time, not a millisecond before, and once") {
    DueTimes times;
    times.set(Due::lifetime_end, 90'000);
    CHECK_FALSE(times.take(Due::lifetime_end, 0));
    CHECK_FALSE(times.take(Due::lifetime_end, 89'999));
    CHECK(times.is_set(Due::lifetime_end));
    CHECK(times.take(Due::lifetime_end, 90'000));
    CHECK_FALSE(times.take(Due::lifetime_end, 90'001));
}

TEST_CASE("a time that passed while the machine slept has come") {
    DueTimes times;
    times.set(Due::lifetime_end, 90'000);
    CHECK(times.take(Due::lifetime_end, 900'000));
}

TEST_CASE("the timer is set to the first of all times, and to none where none is set") {
    DueTimes times;
    CHECK(times.next() == DueTimes::never);
    times.set(Due::grace_end, 10'000);
    times.set(Due::lifetime_end, 5'000);
    times.set(Due::lock_check, 7'000);
    CHECK(times.next() == 5'000);
    times.set(Due::lifetime_end, 20'000);  // the daemon set it anew
    CHECK(times.next() == 7'000);
    times.set(Due::lock_check, DueTimes::never);
    CHECK(times.next() == 10'000);
    CHECK(times.take(Due::grace_end, 10'000));
    CHECK(times.next() == 20'000);
}

TEST_CASE("times that come together are taken one by one") {
    DueTimes times;
    times.set(Due::grace_end, 5);
    times.set(Due::next_kill, 5);
    CHECK(times.take(Due::grace_end, 5));
    CHECK(times.next() == 5);
    CHECK(times.take(Due::next_kill, 5));
    CHECK(times.next() == DueTimes::never);
}

TEST_CASE("of two times the earlier counts, and never is no time") {
    static_assert(DueTimes::earlier(3, 4) == 3);
    static_assert(DueTimes::earlier(4, 3) == 3);
    static_assert(DueTimes::earlier(DueTimes::never, 4) == 4);
    static_assert(DueTimes::earlier(4, DueTimes::never) == 4);
    static_assert(DueTimes::earlier(DueTimes::never, DueTimes::never) == DueTimes::never);
}
