// Connect to a held key, and look it up, over kept-open connections: beside a bare echo server,
// Redis and PostgreSQL, in turn, round after round.
//
// usage: held_key [smoke]
#include <fmt/format.h>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

const std::string key = "document-123";

struct Contestant {
    const Server& server;
    Talk talk;
};

struct Results {
    Series median_us, per_second, processor_us;
};

std::vector<Results> race(const std::vector<Contestant>& contestants, int connections,
                          const Extent& extent) {
    std::vector<Results> results;
    for (const auto& [server, talk] : contestants)
        results.push_back({{server.name, {}}, {server.name, {}}, {server.name, {}}});
    for (int round = 0; round < extent.rounds; ++round) {
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            const auto& [server, talk] = contestants[i];
            if (server.socket.empty()) continue;
            const Pace pace = drive(server, talk, connections, extent.slice);
            results[i].median_us.rounds.push_back(pace.median_us);
            results[i].per_second.rounds.push_back(pace.per_second);
            if (server.process) results[i].processor_us.rounds.push_back(pace.processor_us);
        }
    }
    return results;
}

void print(const std::string& what, const Unit& unit, const std::vector<Results>& results,
           Series Results::*figure, const std::optional<Goal>& goal = {}) {
    std::vector<Series> others;
    for (std::size_t i = 1; i < results.size(); ++i) {
        const bool is_installed = !results[i].median_us.rounds.empty();
        const Series& series = results[i].*figure;
        if (!is_installed || !series.rounds.empty()) others.push_back(series);
    }
    print_row(what, unit, results[0].*figure, others, goal);
}

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
    const std::vector<Contestant> connects{{jamsock, jamsock_connect(key)},
                                           {echo.server(), to_echo},
                                           {redis.server(), redis_connect(key)},
                                           {postgres.server(), postgres_connect(key)}};
    const std::vector<Contestant> lookups{{jamsock, jamsock_lookup(key)},
                                          {echo.server(), to_echo},
                                          {redis.server(), redis_lookup(key)},
                                          {postgres.server(), postgres_lookup(key)}};
    const Goal near_echo{.text = "≤ 1.4 × bare echo", .most_times = 1.4, .program = "bare echo"};
    const Goal over_redis{.text = "≥ 1.0 × Redis", .least_times = 1.0, .program = "Redis"};

    const auto one = race(connects, 1, extent);
    print("connect to a held key, one connection, p50", {" µs", 1}, one, &Results::median_us,
          near_echo);
    const auto many = race(connects, 16, extent);
    print("the same, 16 connections, rate", {"/s", 0}, many, &Results::per_second, over_redis);
    print("… processor time of the server, a call", {" µs", 1}, many, &Results::processor_us);
    const auto looked_up = race(lookups, 1, extent);
    print("lookup, one connection, p50", {" µs", 1}, looked_up, &Results::median_us, near_echo);
}
