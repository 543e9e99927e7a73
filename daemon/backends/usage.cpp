#include "daemon/backends/usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

namespace jamsock {

namespace {

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The first whole number in `text`.
std::optional<std::uint64_t> number_in(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_of("0123456789"), text.size()));
    std::uint64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{}) return std::nullopt;
    return number;
}

std::optional<Usage> usage_of(pid_t pid) {
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    auto usage = parse_usage(content_of(fmt::format("/proc/{}/stat", pid)), page, ticks);
    if (!usage || usage->memory != 0) return usage;
    // The memory of one whose first thread has ended is shown by another thread.
    const auto shown = parse_usage(content_of(process_directory(pid) + "/stat"), page, ticks);
    if (shown) usage->memory = shown->memory;
    return usage;
}

std::uint64_t available_memory(const std::string& cgroup) {
    const std::uint64_t machine = parse_available(content_of("/proc/meminfo")).value_or(0);
    if (cgroup.empty()) return machine;
    const std::uint64_t limit = number_in(content_of(cgroup + "/memory.max")).value_or(no_limit);
    const std::uint64_t used = number_in(content_of(cgroup + "/memory.current")).value_or(0);
    return std::min(machine, limit - std::min(used, limit));
}

}  // namespace

std::optional<Usage> parse_usage(std::string_view stat, std::uint64_t page, std::uint64_t ticks) {
    // As proc(5) numbers them; the third is the first after the name.
    constexpr std::size_t third = 3, user = 14, children_system = 17, resident = 24;
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string_view::npos) return std::nullopt;
    std::istringstream words{std::string(stat.substr(name_end + 1))};
    std::array<std::string, resident + 1> fields;
    for (std::size_t field = third; field <= resident; ++field)
        words >> fields[field];
    std::uint64_t cpu_ticks = 0;
    for (std::size_t field = user; field <= children_system; ++field)
        cpu_ticks += number_in(fields[field]).value_or(0);
    const auto pages = number_in(fields[resident]);
    if (!pages) return std::nullopt;
    constexpr std::uint64_t second = 1'000'000'000;
    return Usage{.memory = *pages * page,
                 .cpu_time = std::chrono::nanoseconds(cpu_ticks * (second / ticks))};
}

// The time of who has ended is its parent's; at last the shim's, whose own is next to nothing.
std::optional<Usage> usage_of_tree(const std::vector<Process>& all, pid_t shim,
                                   const std::string& cgroup) {
    const auto ended = usage_of(shim);
    const std::vector<Process> tree = descendants(all, shim);
    if (!ended || tree.empty()) return std::nullopt;
    Usage sum{.memory_available = available_memory(cgroup), .cpu_time = ended->cpu_time};
    for (const Process& process : tree) {
        const auto one = usage_of(process.pid);
        if (!one) continue;
        sum.memory += one->memory;
        sum.cpu_time += one->cpu_time;
    }
    return sum;
}

std::optional<std::uint64_t> parse_available(std::string_view meminfo) {
    constexpr std::string_view name = "MemAvailable:";
    const std::size_t at = meminfo.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    const auto kib = number_in(meminfo.substr(at + name.size()));
    if (!kib) return std::nullopt;
    return *kib * 1024;
}

}  // namespace jamsock
