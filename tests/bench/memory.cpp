// What worker, keeper and shims hold of memory while many backends live.
//
// usage: memory [smoke]
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/process_cost.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

constexpr double most_mib = 24;
constexpr double most_shim_kib = 100;
constexpr int at_a_time = 8;

// A few at a time; all are ready at the end.
void have_backends(const BenchHome& home, int from, int to) {
    std::vector<Conversation> clients;
    for (int i = 0; i < at_a_time; ++i)
        clients.emplace_back(home.server(), Talk{});
    for (int begin = from; begin < to; begin += at_a_time) {
        const int count = std::min(at_a_time, to - begin);
        for (int i = 0; i < count; ++i) {
            const ConnectRequest request = tiny_backend(fmt::format("key-{}", begin + i));
            clients[i].send(
                post_text(fmt::format("{}?wait=ready", connect_target), request.to_json()));
        }
        for (int i = 0; i < count; ++i)
            while (!clients[i].take_answer())
                continue;
    }
}

double median_of_shims(const BenchHome& home) {
    std::vector<double> sizes;
    for (const KeyEntry& entry : home.home().keys()) {
        const auto pid = home.home().backend(entry.backend_id).pid;
        if (pid) sizes.push_back(memory_of(test::parent_of(*pid)).private_kib);
    }
    return spread_of(sizes).median;
}

void print_daemon(const BenchHome& home, int backends, bool is_goal) {
    const Memory worker = memory_of(home.home().worker());
    const Memory keeper = memory_of(home.home().keeper());
    const double mib = (worker.proportional_kib + keeper.proportional_kib) / 1024;
    print_row(fmt::format("memory of worker and keeper, {} live backends", backends),
              fmt::format("{:.1f} MiB", mib),
              fmt::format("worker {:.1f} MiB (private {:.1f}), keeper {:.1f} MiB (private {:.1f})",
                          worker.proportional_kib / 1024, worker.private_kib / 1024,
                          keeper.proportional_kib / 1024, keeper.private_kib / 1024),
              is_goal ? fmt::format("≤ {} MiB in all", most_mib) : "",
              is_goal ? std::optional(mib <= most_mib) : std::nullopt);
}

}  // namespace

void jamsock::bench::measure(const Extent& extent) {
    const BenchHome home;
    int live = 0;
    for (const int backends : extent.backends) {
        have_backends(home, live, backends);
        live = backends;
        print_daemon(home, backends, backends == extent.backends.back());
    }
    const double shim = median_of_shims(home);
    print_row("private memory of a shim, median", fmt::format("{:.0f} KiB", shim), "",
              fmt::format("≤ {} KiB", most_shim_kib), shim <= most_shim_kib);
}
