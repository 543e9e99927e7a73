#include "daemon/backends/survivors.h"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

namespace jamsock {

namespace {

using Pids = std::unordered_set<pid_t>;

// Every process of `all` that is in `roots` or below one of them.
Pids with_descendants(const std::vector<Process>& all, const Pids& roots) {
    std::unordered_map<pid_t, std::vector<pid_t>> children;
    for (const Process& process : all)
        children[process.parent].push_back(process.pid);
    Pids found;
    std::vector<pid_t> left(roots.begin(), roots.end());
    while (!left.empty()) {
        const pid_t pid = left.back();
        left.pop_back();
        if (!found.insert(pid).second) continue;
        const auto below = children.find(pid);
        if (below != children.end())
            left.insert(left.end(), below->second.begin(), below->second.end());
    }
    return found;
}

// A session's number may be given again once the session is empty: then its leader is another.
bool is_of_session(const Process& process, const std::vector<Process>& all,
                   const std::optional<Process>& leader) {
    if (!leader || process.session != leader->pid) return false;
    if (process.start_time < leader->start_time) return false;
    const auto holder = std::ranges::find(all, leader->pid, &Process::pid);
    return holder == all.end() || holder->start_time == leader->start_time;
}

// Looks into processes, and remembers whether it could look into all of them.
class Sight {
  public:
    bool is_whole() const { return is_whole_; }

    bool has_locked(pid_t pid, const key_lock::Inode& inode) {
        namespace fs = std::filesystem;
        std::error_code failed;
        for (fs::directory_iterator at(fmt::format("/proc/{}/fd", pid), failed), end;
             !failed && at != end; at.increment(failed)) {
            struct stat status {};
            if (::stat(at->path().c_str(), &status) == 0 && status.st_dev == inode.device &&
                status.st_ino == inode.number && carries_lock(pid, at->path().filename())) {
                return true;
            }
        }
        note(failed.value());
        return false;
    }

    bool has_mark(pid_t pid, const std::string& mark) {
        return content_of(fmt::format("/proc/{}/environ", pid)).find("JAMSOCK_MARK=" + mark) !=
               std::string::npos;
    }

  private:
    // Whether the descriptor carries a flock (proc(5), fdinfo): somebody who only reads the lock's
    // file is no survivor.
    bool carries_lock(pid_t pid, const std::string& descriptor) {
        return content_of(fmt::format("/proc/{}/fdinfo/{}", pid, descriptor)).find("FLOCK") !=
               std::string::npos;
    }

    std::string content_of(const std::string& path) {
        errno = 0;
        std::ifstream file(path, std::ios::binary);
        if (!file) note(errno);
        return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }

    void note(int error) { is_whole_ = is_whole_ && !is_blindness(error); }

    bool is_whole_ = true;
};

}  // namespace

Survivors find_survivors(const SurvivorQuery& query) {
    const auto [all, is_whole] = look_at_processes();

    Pids known_roots(query.shims.begin(), query.shims.end());
    if (query.worker != 0) known_roots.insert(query.worker);
    const Pids known = with_descendants(all, known_roots);

    Sight sight;
    Pids roots;
    for (const Process& process : all) {
        if (known.contains(process.pid) || process.pid == query.keeper) continue;
        const bool below_keeper = query.keeper != 0 && process.parent == query.keeper;
        if (below_keeper || is_of_session(process, all, query.main) ||
            (query.lock && sight.has_locked(process.pid, *query.lock)) ||
            (!query.mark.empty() && sight.has_mark(process.pid, query.mark))) {
            roots.insert(process.pid);
        }
    }

    const Pids found = with_descendants(all, roots);
    Survivors survivors{.is_whole = is_whole && sight.is_whole()};
    std::ranges::copy_if(all, std::back_inserter(survivors.processes), [&](const Process& process) {
        return found.contains(process.pid) && !known.contains(process.pid) && !process.is_zombie();
    });
    return survivors;
}

Survivors kill_survivors(const SurvivorQuery& query) {
    SurvivorQuery quick = query;
    quick.lock.reset();
    quick.mark.clear();
    Survivors survivors = find_survivors(quick);
    if (survivors.processes.empty()) survivors = find_survivors(query);
    for (const Process& survivor : survivors.processes)
        signal_process(survivor, SIGKILL);
    return survivors;
}

}  // namespace jamsock
