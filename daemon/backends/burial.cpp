#include "daemon/backends/burial.h"

#include <unistd.h>

#include <algorithm>
#include <limits>

#include "common/clock.h"
#include "daemon/backends/held_up.h"
#include "daemon/backends/named_process.h"

namespace jamsock {

namespace {

constexpr std::int64_t clock_margin_milliseconds = 60'000;

}  // namespace

std::uint64_t earliest_start(const std::optional<ShimRecord>& record, std::int64_t created_at) {
    const bool is_recorded = record && !record->boot_id.empty();
    if (is_recorded && record->boot_id != current_boot_id())
        return std::numeric_limits<std::uint64_t>::max();
    if (is_recorded && record->shim_start_time != 0) return record->shim_start_time;
    const std::int64_t age = wall_milliseconds() - created_at + clock_margin_milliseconds;
    const std::int64_t since_boot = std::max<std::int64_t>(0, boot_milliseconds() - age);
    return static_cast<std::uint64_t>(since_boot * ::sysconf(_SC_CLK_TCK) / 1000);
}

std::optional<std::string> note_on(const std::optional<Process>& shim,
                                   const std::optional<SurvivorQuery>& being_killed) {
    if (shim && shim->is_stopped()) return note_on_stopped_shim(shim->pid);
    if (!being_killed) return std::nullopt;
    Survivors left;
    if (shim) {
        left.processes = descendants(all_processes(), shim->pid);
        std::erase_if(left.processes, [](const Process& process) { return process.is_zombie(); });
    } else {
        left = find_survivors(*being_killed);
    }
    if (!left.processes.empty()) return note_on_left_processes(topmost(left.processes));
    if (!left.unproven.empty()) return note_on_unproven_processes(topmost(left.unproven));
    return std::nullopt;
}

}  // namespace jamsock
