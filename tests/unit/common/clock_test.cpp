#include "common/clock.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a time is read as it is written") {
    for (const std::int64_t time : {0LL, 1795426200125LL, 951782400000LL, 4102444799999LL})
        CHECK(parse_iso_time(iso_time(time)) == time);
}

TEST_CASE("a time may have any fraction of a second and any offset") {
    CHECK(parse_iso_time("1970-01-01T00:00:01Z") == 1000);
    CHECK(parse_iso_time("1970-01-01T00:00:01.5Z") == 1500);
    CHECK(parse_iso_time("1970-01-01T00:00:01.05Z") == 1050);
    CHECK(parse_iso_time("1970-01-01T00:00:01.123456789Z") == 1123);
    CHECK(parse_iso_time("1970-01-01T01:00:00+01:00") == 0);
    CHECK(parse_iso_time("1969-12-31T23:30:00-00:30") == 0);
}

TEST_CASE("what is no time of any day is none") {
    for (const char* text : {"",
                             "now",
                             "2026",
                             "2026-11-23",
                             "2026-11-23T09:30",
                             "2026-11-23T09:30:00",
                             "2026-11-23 09:30:00Z",
                             "2026-11-23T09:30:00z",
                             "2026-11-23T09:30:00.Z",
                             "2026-11-23T09:30:00ZZ",
                             "2026-11-23T09:30:00+1",
                             "2026-11-23T09:30:00+01",
                             "2026-13-01T00:00:00Z",
                             "2026-00-01T00:00:00Z",
                             "2026-02-30T00:00:00Z",
                             "2025-02-29T00:00:00Z",
                             "2026-11-23T24:00:00Z",
                             "2026-11-23T09:60:00Z",
                             "2026-11-23T09:30:60Z",
                             "2026-1-1T0:0:0Z",
                             "+026-11-23T09:30:00Z",
                             "2026-11-23T09:30:00+24:00",
                             " 2026-11-23T09:30:00Z"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_iso_time(text));
    }
}
