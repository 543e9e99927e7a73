// Cgroups for backends whose memory or share of the processors is limited: children of the daemon's
// own cgroup (v2), one for each, named by its id. A backend joins it before its program runs; the
// daemon and its shims stay outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/limits.h"
#include "common/result.h"

namespace jamsock {

// Control thread.
class Cgroups {
  public:
    // `directory`: of the daemon's cgroup; empty if it has none (of version 2).
    explicit Cgroups(std::string directory) : directory_(std::move(directory)) {}
    static Cgroups of_this_process();

    // Unsupported, with the limit's name and the reason, if one of them can't be kept here. What
    // they need is prepared at the first call: a cgroup with limited children holds no process
    // itself, so the daemon moves into a child of its own.
    Result<> can_limit(const ResourceLimits& limits) const;

    // The directory of the backend's cgroup, whether it exists or not; empty: there can't be one.
    std::string of(const BackendId& backend) const;

  private:
    Result<> enable(std::string_view controller) const;

    std::string directory_;
};

namespace cgroup {

// The directory of the cgroup of which /proc/<pid>/cgroup and /proc/<pid>/mountinfo tell; empty if
// there is none of version 2.
std::string directory(std::string_view cgroup, std::string_view mountinfo);

bool is_needed(const ResourceLimits& limits);

struct Setting {
    std::string file;
    std::string value;
    friend bool operator==(const Setting&, const Setting&) = default;
};
std::vector<Setting> settings(const ResourceLimits& limits);

// The directory and its settings; blocks.
Result<> make(const std::string& directory, const ResourceLimits& limits);

// That the kernel killed a process in it as its memory did not suffice, with the limit, in bytes,
// as far as there is one.
struct OutOfMemory {
    std::optional<std::int64_t> limit;
};
std::optional<OutOfMemory> out_of_memory(const std::string& directory);

// Kills every process in it.
void kill(const std::string& directory);
// Nothing happens while a process is in it, or if it isn't there.
void remove(const std::string& directory);

}  // namespace cgroup

std::string explain_out_of_memory(const BackendId& backend, const cgroup::OutOfMemory& how);

}  // namespace jamsock
