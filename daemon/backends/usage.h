// What processes use of the machine, as /proc and their cgroup have it. Blocks: for the helper
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/shim/process_table.h"

namespace jamsock {

struct Usage {
    std::uint64_t memory = 0;              // bytes
    std::uint64_t memory_available = 0;    // bytes that they could have beside these
    std::chrono::nanoseconds cpu_time{0};  // since they were started
};

// Of one process, by the text of its /proc/<pid>/stat: its resident memory, and its processor time
// with that of the children that it has waited for; no available memory. `page`: bytes; `ticks`:
// clock ticks a second.
std::optional<Usage> parse_usage(std::string_view stat, std::uint64_t page, std::uint64_t ticks);

// Of all processes below `shim`, the time of those that have ended included. Nothing if there is
// none. `cgroup`: the directory of theirs, whose memory may be limited; empty, or there is none.
std::optional<Usage> usage_of_tree(const std::vector<Process>& all, pid_t shim,
                                   const std::string& cgroup);

// The figure of a line such as "MemAvailable:    1024 kB" in the text of /proc/meminfo, in bytes.
std::optional<std::uint64_t> parse_available(std::string_view meminfo);

}  // namespace jamsock
