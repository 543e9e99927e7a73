#include "daemon/backends/survivors.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "common/unique_fd.h"

// glibc before 2.37 declares these without C linkage for C++.
extern "C" {
#include <sys/pidfd.h>
}

namespace jamsock {

namespace {

constexpr std::chrono::milliseconds longest_chase{50};

// Looks into processes, and remembers whether it could look at all.
class Sight {
  public:
    explicit Sight(const SurvivorQuery& query) : query_(query) {}

    bool is_blind() const { return is_blind_; }

    LookedAt look_into(const Process& process) {
        LookedAt looked{.process = process, .uid = uid_of(process.pid)};
        const std::string directory = process_directory(process.pid);
        is_hidden_ = false;
        if (holds_lock(directory) || has_mark(directory)) {
            looked.evidence = Evidence::marked;
            return looked;
        }
        // Before the look whether it has ended: one that ends shows another.
        if (is_hidden_) looked.cgroup = cgroup_hash(process.pid);
        if (has_ended(process, directory)) {
            looked.evidence = Evidence::gone;
            looked.cgroup = 0;
        } else if (is_hidden_) {
            looked.evidence = Evidence::hidden;
        }
        return looked;
    }

    bool is_marked(pid_t pid) {
        const std::string directory = fmt::format("/proc/{}", pid);
        return has_mark(directory) || holds_lock(directory);
    }

  private:
    // The owner of /proc/<pid> is the process's user even if it may not be looked into.
    uid_t uid_of(pid_t pid) const {
        struct stat status {};
        const bool is_there = ::stat(fmt::format("/proc/{}", pid).c_str(), &status) == 0;
        return is_there ? status.st_uid : query_.uid;
    }

    bool holds_lock(const std::string& directory) {
        namespace fs = std::filesystem;
        if (!query_.lock) return false;
        std::error_code failed;
        for (fs::directory_iterator at(directory + "/fd", failed), end; !failed && at != end;
             at.increment(failed)) {
            struct stat status {};
            if (::stat(at->path().c_str(), &status) == 0 && status.st_dev == query_.lock->device &&
                status.st_ino == query_.lock->number &&
                carries_lock(directory, at->path().filename())) {
                return true;
            }
        }
        note(failed.value());
        return false;
    }

    // Whether the descriptor carries a flock (proc(5), fdinfo): somebody who only reads the lock's
    // file is no survivor.
    bool carries_lock(const std::string& directory, const std::string& descriptor) {
        return content_of(directory + "/fdinfo/" + descriptor).find("FLOCK") != std::string::npos;
    }

    bool has_mark(const std::string& directory) {
        return !query_.mark.empty() &&
               content_of(directory + "/environ").find("JAMSOCK_MARK=" + query_.mark) !=
                   std::string::npos;
    }

    // A process gives its memory and its descriptors back before it shows as ended: empty ones are
    // no sign of innocence. A kernel thread has none, and doesn't end.
    bool has_ended(const Process& process, const std::string& directory) {
        const auto now = read_process(process.pid);
        note(now ? 0 : errno);
        if (!now || now->start_time != process.start_time || now->is_zombie()) return true;
        const bool is_whole_process = directory == fmt::format("/proc/{}", process.pid);
        return is_whole_process ? now->is_exiting : process_directory(process.pid) != directory;
    }

    std::string content_of(const std::string& path) {
        const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        std::string content;
        std::array<char, 4096> piece;
        ssize_t length = file ? 1 : -1;
        while (length > 0) {
            length = ::read(file.get(), piece.data(), piece.size());
            if (length > 0) content.append(piece.data(), static_cast<std::size_t>(length));
        }
        note(length < 0 ? errno : 0);
        return content;
    }

    void note(int error) {
        if (is_blindness(error)) is_blind_ = true;
        if (error == EACCES || error == EPERM) is_hidden_ = true;
    }

    const SurvivorQuery& query_;
    bool is_blind_ = false;
    bool is_hidden_ = false;  // the one that is looked into
};

Survivors sort_out(const std::vector<LookedAt>& all, const Known& known,
                   const SurvivorQuery& query) {
    Survivors survivors{.is_whole = true};
    const std::vector<Whose> verdicts = judge(all, known, query);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const Process& process = all[i].process;
        if (process.is_zombie() || verdicts[i] == Whose::another) continue;
        if (verdicts[i] == Whose::backend) {
            survivors.processes.push_back(process);
        } else if (all[i].evidence == Evidence::gone) {
            survivors.is_whole = false;
        } else {
            survivors.unproven.push_back(process);
        }
    }
    return survivors;
}

// What parents, sessions and start times say by themselves.
Survivors find_at_a_glance(const ProcessLook& look, const SurvivorQuery& query) {
    std::vector<LookedAt> all;
    for (const Process& process : look.processes)
        all.push_back({.process = process, .uid = query.uid});
    Survivors survivors = sort_out(all, known_among(look.processes, query), query);
    survivors.is_whole = look.is_whole;
    return survivors;
}

// `on_marked` is called for each process with the backend's mark or lock as soon as it is found.
Survivors look_closely(Known known, const SurvivorQuery& query,
                       const std::function<void(const Process&)>& on_marked) {
    Sight sight(query);
    std::unordered_set<pid_t> seen_again;
    std::vector<LookedAt> all;
    const bool is_whole = look_at_processes([&](const Process& process) {
                              const auto before = known.find(process.pid);
                              const bool is_known =
                                  before != known.end() && before->second == process.start_time;
                              if (is_known || seen_again.contains(process.parent)) {
                                  seen_again.insert(process.pid);
                                  known[process.pid] = process.start_time;
                                  all.push_back({.process = process, .uid = query.uid});
                                  return;
                              }
                              all.push_back(process.is_zombie() ? LookedAt{.process = process}
                                                                : sight.look_into(process));
                              if (all.back().evidence == Evidence::marked) on_marked(process);
                          }).is_whole;
    Survivors survivors = sort_out(all, known, query);
    survivors.is_whole = survivors.is_whole && is_whole && !sight.is_blind();
    return survivors;
}

// What forks and ends, on and on, has forked again before a look at all processes gets to it. Its
// newest process is met as it begins, and can be killed before it forks.
void chase_newest(const SurvivorQuery& query) {
    Sight sight(query);
    pid_t last = 0;
    const auto end = std::chrono::steady_clock::now() + longest_chase;
    while (std::chrono::steady_clock::now() < end) {
        const pid_t pid = newest_pid();
        if (pid == 0) return;
        if (pid == last) continue;
        const UniqueFd process(::pidfd_open(pid, 0));
        if (!process) continue;  // it has its number, but isn't there yet
        last = pid;
        // Whoever gets the signal had that number all the while.
        if (sight.is_marked(pid)) ::pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
    }
}

}  // namespace

Survivors find_survivors(const SurvivorQuery& query) {
    const ProcessLook first = look_at_processes();
    return look_closely(known_among(first.processes, query), query, [](const Process&) {});
}

Survivors kill_survivors(const SurvivorQuery& query) {
    const auto kill = [](const Process& process) { signal_process(process, SIGKILL); };
    const ProcessLook first = look_at_processes();
    Survivors survivors = find_at_a_glance(first, query);
    if (survivors.processes.empty())
        survivors = look_closely(known_among(first.processes, query), query, kill);
    for (const Process& survivor : survivors.processes)
        kill(survivor);
    if (!survivors.is_whole || !survivors.processes.empty()) chase_newest(query);
    return survivors;
}

}  // namespace jamsock
