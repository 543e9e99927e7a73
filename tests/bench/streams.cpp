// Connect to a held key while thousands of status streams are open on its backend, over TCP as
// those of pages, beside the same without them; and what one stream costs in memory.
//
// usage: streams [smoke]
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/process_cost.h"
#include "tests/bench/support/race.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"
#include "tests/support/event_stream.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

const std::string key = "document-123";
constexpr int usual_streams = 2000;
constexpr int smoke_streams = 20;
constexpr int first_ones = 16;  // what is loaded for them isn't counted
constexpr double most_kib = 8;

void raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Of the one backend that there is; each has got all that has happened.
std::vector<test::EventStream> subscribed(const BenchHome& home, int count) {
    const std::string id = home.home().keys().at(0).backend_id.str();
    const std::uint16_t port = home.home().version()->api_port;
    std::vector<test::EventStream> streams;
    for (int i = 0; i < count; ++i)
        streams.emplace_back(port, fmt::format("/v2/backend/{}/status/stream", id));
    for (test::EventStream& stream : streams) {
        if (!stream.is_accepted()) throw std::runtime_error("the API has no room for streams");
        while (stream.next().value().find("\"ready\"") == std::string::npos)
            continue;
    }
    return streams;
}

}  // namespace

void jamsock::bench::measure(const Extent& extent) {
    const int count = extent.rounds > 1 ? usual_streams : smoke_streams;
    raise_descriptor_limit();
    const BenchHome watched;
    const BenchHome alone;
    for (const BenchHome* home : {&watched, &alone})
        home->connect(key);

    subscribed(watched, first_ones);
    const double before = memory_of(watched.home().worker()).resident_kib;
    const auto streams = subscribed(watched, count);
    const double each = (memory_of(watched.home().worker()).resident_kib - before) / count;

    Server without = alone.server();
    without.name = "without";
    const Race race({{watched.server(), jamsock_connect(key)}, {without, jamsock_connect(key)}}, 1,
                    {extent.rounds, extent.slice});
    print_row(fmt::format("connect to a held key beside {} open status streams, p50", count),
              {" µs", 1}, race.figures(&Pace::median_us),
              Goal{.text = "≤ 1.1 × without", .most_times = 1.1, .program = "without"});
    print_row("… memory of the worker, a stream", fmt::format("{:.1f} KiB", each), "",
              fmt::format("≤ {} KiB", most_kib), each <= most_kib);
}
