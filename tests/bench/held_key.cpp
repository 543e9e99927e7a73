// Connect to a held key, and look it up, over kept-open connections: beside a bare echo server,
// Redis and PostgreSQL, in turn, round after round.
//
// usage: held_key [smoke]
#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/race.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

const std::string key = "document-123";

}  // namespace

void jamsock::bench::measure(const Extent& extent) {
    const BenchHome home;
    home.connect(key);
    const Server jamsock = home.server();
    const std::size_t length = home.answer_length(jamsock_connect(key));
    const EchoServer echo(length);
    const RedisServer redis;
    const PostgresServer postgres;

    const Talk to_echo = jamsock_connect(key);
    const std::vector<Entrant> connects{{jamsock, jamsock_connect(key)},
                                        {echo.server(), to_echo},
                                        {redis.server(), redis_connect(key)},
                                        {postgres.server(), postgres_connect(key)}};
    const std::vector<Entrant> lookups{{jamsock, jamsock_lookup(key)},
                                       {echo.server(), to_echo},
                                       {redis.server(), redis_lookup(key)},
                                       {postgres.server(), postgres_lookup(key)}};
    const Goal near_echo{.text = "≤ 1.4 × bare echo", .most_times = 1.4, .program = "bare echo"};
    const Goal over_redis{.text = "≥ 1.0 × Redis", .least_times = 1.0, .program = "Redis"};

    const Distance distance{extent.rounds, extent.slice};
    const Race one(connects, 1, distance);
    print_row("connect to a held key, one connection, p50", {" µs", 1},
              one.figures(&Pace::median_us), near_echo);
    const Race many(connects, 16, distance);
    print_row("the same, 16 connections, rate", {"/s", 0}, many.figures(&Pace::per_second),
              over_redis);
    print_row("… processor time of the server, a call", {" µs", 1}, many.processor_times());
    const Race looked_up(lookups, 1, distance);
    print_row("lookup, one connection, p50", {" µs", 1}, looked_up.figures(&Pace::median_us),
              near_echo);
}
