// What worker, keeper and shims hold of memory while many backends live.
//
// usage: memory [smoke]
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

constexpr double most_mib = 24;
constexpr double most_shim_kib = 100;
constexpr std::chrono::seconds time_for_all{120};

struct Memory {
    double proportional_kib = 0;  // what is shared counts in parts
    double private_kib = 0;
};

Memory memory_of(pid_t process) {
    std::ifstream lines(fmt::format("/proc/{}/smaps_rollup", process));
    Memory memory;
    for (std::string line; std::getline(lines, line);) {
        const auto value = [&line] { return std::stod(line.substr(line.find(':') + 1)); };
        if (line.starts_with("Pss:")) memory.proportional_kib = value();
        if (line.starts_with("Private_Clean:")) memory.private_kib += value();
        if (line.starts_with("Private_Dirty:")) memory.private_kib += value();
    }
    return memory;
}

std::size_t ready_backends(const test::Home& home) {
    const auto keys = home.keys();
    return static_cast<std::size_t>(std::ranges::count_if(
        keys, [](const KeyEntry& entry) { return entry.status == Status::ready; }));
}

void have_backends(const BenchHome& home, int from, int to) {
    Conversation jamsock(home.server(), {});
    for (int i = from; i < to; ++i) {
        jamsock.ask(post_text(connect_target, tiny_backend(fmt::format("key-{}", i)).to_json()));
    }
    const auto all_ready = [&] { return ready_backends(home.home()) == std::size_t(to); };
    if (!test::eventually(all_ready, time_for_all)) {
        throw std::runtime_error("not all backends become ready");
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
