#include "daemon/backends/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "common/text.h"
#include "common/unique_fd.h"
#include "daemon/backends/start_failure.h"

namespace jamsock {

namespace {

constexpr std::string_view own_child = "/jamsock-daemon";
constexpr const char* own_cgroup_hint =
    "jamsock daemon stop && systemd-run --user --scope -p Delegate=yes jamsock daemon start";

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

bool lists(const std::string& path, std::string_view word) {
    const auto words = words_of(content_of(path));
    return std::ranges::find(words, word) != words.end();
}

// Whether it was written; else errno says why not.
bool write_to(const std::string& path, std::string_view text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && ::write(file.get(), text.data(), text.size()) >= 0;
}

// Moves the keeper and the worker into a child of their cgroup, if nobody else is in it.
bool step_aside(const std::string& directory) {
    const auto processes = words_of(content_of(directory + "/cgroup.procs"));
    const auto is_ours = [](const std::string& pid) {
        return pid == std::to_string(::getpid()) || pid == std::to_string(::getppid());
    };
    errno = EBUSY;
    if (!std::ranges::all_of(processes, is_ours)) return false;
    const std::string child = directory + std::string(own_child);
    if (::mkdir(child.c_str(), 0755) != 0 && errno != EEXIST) return false;
    return std::ranges::all_of(processes, [&child](const std::string& pid) {
        return write_to(child + "/cgroup.procs", pid);
    });
}

// Parts of a sentence; `public_why` names no path.
tl::unexpected<Error> unsupported(std::string why, std::string public_why, std::string hint) {
    return tl::unexpected(for_others({ErrorCode::unsupported, std::move(why), std::move(hint), {}},
                                     std::move(public_why)));
}

Error limit_not_kept(const char* limit, Error error) {
    for (std::string* why : {&error.message, &error.public_message})
        *why = fmt::format("The limit '{}' can't be kept here: {}.", limit, *why);
    return error;
}

struct Need {
    const char* limit;
    const char* controller;
    bool is_set;
};

std::vector<Need> needs(const ResourceLimits& limits) {
    return {{"memory_limit_bytes", "memory", limits.memory.has_value()},
            {"cpu_period_percent", "cpu", limits.cpu_percent.has_value()},
            {"cpu_period", "cpu", limits.cpu_period.has_value()}};
}

}  // namespace

Cgroups Cgroups::of_this_process() {
    std::string directory =
        cgroup::directory(content_of("/proc/self/cgroup"), content_of("/proc/self/mountinfo"));
    if (directory.ends_with(own_child)) directory.resize(directory.size() - own_child.size());
    return Cgroups(std::move(directory));
}

Result<> Cgroups::can_limit(const ResourceLimits& limits) const {
    for (const Need& need : needs(limits)) {
        if (!need.is_set) continue;
        auto enabled = enable(need.controller);
        if (!enabled) return tl::unexpected(limit_not_kept(need.limit, enabled.error()));
    }
    return {};
}

Result<> Cgroups::enable(std::string_view controller) const {
    if (directory_.empty()) {
        const char* why = "the daemon is in no cgroup of version 2";
        return unsupported(why, why, own_cgroup_hint);
    }
    if (!lists(directory_ + "/cgroup.controllers", controller)) {
        return unsupported(
            fmt::format("the cgroup {} has no {} controller", in_quotes(directory_), controller),
            fmt::format("the daemon's cgroup has no {} controller", controller),
            shell_line({"cat", directory_ + "/cgroup.controllers"}));
    }
    const std::string enabled = directory_ + "/cgroup.subtree_control";
    if (lists(enabled, controller)) return {};
    const std::string request = fmt::format("+{}", controller);
    if (write_to(enabled, request)) return {};
    if (errno == EBUSY && step_aside(directory_) && write_to(enabled, request)) return {};
    const std::string cause = errno == EBUSY ? "others are in it" : ::strerror(errno);
    return unsupported(
        fmt::format("the daemon can't give cgroups to backends in {}: {}", in_quotes(directory_),
                    cause),
        fmt::format("the daemon can't give cgroups to backends in its own: {}", cause),
        own_cgroup_hint);
}

std::string Cgroups::of(const BackendId& backend) const {
    return directory_.empty() ? std::string()
                              : fmt::format("{}/jamsock-{}", directory_, backend.str());
}

namespace cgroup {

std::string directory(std::string_view cgroup, std::string_view mountinfo) {
    std::istringstream groups{std::string(cgroup)};
    std::string path;
    for (std::string line; std::getline(groups, line);) {
        if (line.starts_with("0::/")) path = line.substr(3);
    }
    std::istringstream mounts{std::string(mountinfo)};
    for (std::string line; !path.empty() && std::getline(mounts, line);) {
        const auto words = words_of(line);
        const auto dash = std::ranges::find(words, "-");
        if (words.size() < 6 || words.end() - dash < 2 || dash[1] != "cgroup2") continue;
        const std::string root = words[3] == "/" ? "" : words[3];  // what is mounted of it
        if (!path.starts_with(root)) continue;
        const std::string below = path.substr(root.size());
        return below == "/" ? words[4] : words[4] + below;
    }
    return {};
}

bool is_needed(const ResourceLimits& limits) {
    return limits.memory || limits.cpu_period || limits.cpu_percent;
}

std::vector<Setting> settings(const ResourceLimits& limits) {
    std::vector<Setting> all;
    if (limits.memory) {
        all.push_back({"memory.max", std::to_string(*limits.memory)});
        all.push_back({"memory.swap.max", "0"});  // else it would only move elsewhere
    }
    if (limits.cpu_period || limits.cpu_percent) {
        const auto quota = limits.cpu_quota();
        all.push_back({"cpu.max", fmt::format("{} {}", quota ? std::to_string(*quota) : "max",
                                              limits.cpu_period_or_usual())});
    }
    return all;
}

Result<> make(const std::string& directory, const ResourceLimits& limits) {
    const auto failed = [](const std::string& what) -> Result<> {
        const int cause = errno;
        return tl::unexpected(
            start_failure("The backend's cgroup can't be made", cause, in_quotes(what)));
    };
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return failed(directory);
    for (const Setting& setting : settings(limits)) {
        if (write_to(directory + "/" + setting.file, setting.value)) continue;
        const bool has_no_swap = setting.file == "memory.swap.max" && errno == ENOENT;
        if (!has_no_swap) return failed(setting.file);
    }
    return {};
}

std::optional<OutOfMemory> out_of_memory(const std::string& directory) {
    if (directory.empty()) return std::nullopt;
    const auto events = words_of(content_of(directory + "/memory.events"));
    const auto kills = std::ranges::find(events, "oom_kill");
    long long count = 0;
    if (events.end() - kills < 2 || !parse_number(kills[1], count) || count == 0)
        return std::nullopt;
    const auto limit = words_of(content_of(directory + "/memory.max"));
    long long bytes = 0;
    if (limit.empty() || !parse_number(limit.front(), bytes)) return OutOfMemory{};
    return OutOfMemory{bytes};
}

void kill(const std::string& directory) {
    if (!directory.empty()) write_to(directory + "/cgroup.kill", "1");
}

void remove(const std::string& directory) {
    ::rmdir(directory.c_str());
}

}  // namespace cgroup

std::string explain_out_of_memory(const BackendId& backend, const cgroup::OutOfMemory& how) {
    return fmt::format("The kernel killed a process of the backend {}: out of memory{}.",
                       backend.str(),
                       how.limit ? fmt::format(" (limit {} bytes)", *how.limit) : "");
}

}  // namespace jamsock
