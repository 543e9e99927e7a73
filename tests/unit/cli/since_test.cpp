#include "cli/since.h"

#include <doctest/doctest.h>

#include <ctime>

#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using jamsock::cli_test::ScopedVariable;

namespace {

// 2026-11-23T09:30:00Z, a Monday.
constexpr std::int64_t now = 1795426200000;
constexpr std::int64_t minute = 60'000;

// Two hours east of UTC, without summer time.
class EasternZone {
  public:
    EasternZone() { ::tzset(); }
    ~EasternZone() { ::tzset(); }

  private:
    ScopedVariable zone_{"TZ", "EAST-2"};
};

std::int64_t since(const std::string& text) {
    const auto time = parse_since(text, now);
    CAPTURE(text);
    REQUIRE(time);
    return *time;
}

}  // namespace

TEST_CASE("a duration is counted back from now") {
    CHECK(since("0s") == now);
    CHECK(since("10s") == now - 10'000);
    CHECK(since("5m") == now - 5 * minute);
    CHECK(since("2h") == now - 120 * minute);
    CHECK(since("1d") == now - 24 * 60 * minute);
}

TEST_CASE("a time of day is the latest that isn't in the future, by the local clock") {
    const EasternZone zone;
    CHECK(since("11:30") == now);
    CHECK(since("11:00") == now - 30 * minute);
    CHECK(since("11:00:30.5") == now - 30 * minute + 30'500);
    CHECK(since("11:31") == now + minute - 24 * 60 * minute);
    CHECK(since("00:00") == now - (11 * 60 + 30) * minute);
}

TEST_CASE("a date and time is local, or in the zone that it names") {
    const EasternZone zone;
    CHECK(since("2026-11-23T11:30") == now);
    CHECK(since("2026-11-23 11:30:00") == now);
    CHECK(since("2026-11-23") == now - (11 * 60 + 30) * minute);
    CHECK(since("2026-11-23T09:30:00Z") == now);
    CHECK(since("2026-11-23T09:30:00.125Z") == now + 125);
    CHECK(since("2026-11-23T09:30:00.1259Z") == now + 125);
    for (const char* same : {"2026-11-23T10:30+01:00", "2026-11-23T10:30+0100",
                             "2026-11-23T10:30+01", "2026-11-23T04:00-05:30"}) {
        CHECK(since(same) == now);
    }
}

TEST_CASE("what is no time is refused with examples of what is") {
    for (const char* wrong : {"",
                              "s",
                              "-5s",
                              "5",
                              "5w",
                              "1.5h",
                              "10 s",
                              "soon",
                              "9:30",
                              "24:00",
                              "09:60",
                              "09:30x",
                              "09:30:",
                              "2026-11",
                              "2026-13-01",
                              "2026-02-30",
                              "2026-11-23T",
                              "2026-11-23T9:30",
                              "2026-11-23T09:30:00.",
                              "2026-11-23T09:30+",
                              "2026-11-23T09:30+2",
                              "2026-11-23T09:30+02:",
                              "2026-11-23T09:30Zz",
                              "99999999999s",
                              "0999-01-01"}) {
        CAPTURE(wrong);
        const auto refused = parse_since(wrong, now);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_request);
        CHECK(refused.error().message.starts_with(
            "The option --since needs a time such as 10s, 5m, 2h, 1d, 09:30 or "
            "2026-11-23T09:30:00; '"));
    }
}
