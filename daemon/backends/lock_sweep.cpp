#include "daemon/backends/lock_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/unique_fd.h"
#include "daemon/backends/key_lock.h"
#include "daemon/shim/lock_claim.h"

namespace jamsock {

namespace {

// A file with a token beyond it was damaged: as the floor it would leave no room for others.
constexpr std::int64_t highest_token = greatest_fencing_token / 2;

bool is_older(const struct stat& file, std::int64_t wall_milliseconds) {
    return S_ISREG(file.st_mode) &&
           file.st_mtim.tv_sec * 1000 + file.st_mtim.tv_nsec / 1'000'000 < wall_milliseconds;
}

// Unlinks the file while its lock is held, so that nobody has claimed it and nobody can: whoever
// waits with it open finds that no path leads to it any more.
bool remove_if_free(int directory, const std::string& name, std::int64_t floor) {
    const UniqueFd file(::openat(directory, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file || !key_lock::try_lock(file.get())) return false;
    struct stat locked {};
    struct stat named {};
    const bool in_place = ::fstat(file.get(), &locked) == 0 &&
                          ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                          locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
    if (!in_place || key_lock::recorded_token(directory, name) > floor) return false;
    return ::unlinkat(directory, name.c_str(), 0) == 0;
}

}  // namespace

// The fencing token of a file that may be removed.
std::optional<std::int64_t> LockSweep::token_if_old(const std::string& name,
                                                    std::int64_t before) const {
    struct stat status {};
    if (!key_lock::is_file_name(name) ||
        ::fstatat(directory_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !is_older(status, before)) {
        return std::nullopt;
    }
    const std::int64_t token = key_lock::recorded_token(directory_, name);
    if (token > highest_token) return std::nullopt;
    return token;
}

LockSweep::Step LockSweep::step(const std::unordered_set<std::string>& in_use, std::int64_t before,
                                std::size_t most_files) {
    const auto found = walk_.next(most_files);
    std::int64_t floor = key_lock::floor(directory_);
    std::vector<std::string> old;
    for (const std::string& name : found.names) {
        const auto token = in_use.contains(name) ? std::nullopt : token_if_old(name, before);
        if (!token) continue;
        old.push_back(name);
        floor = std::max(floor, *token);
    }
    Step step{.floor = floor, .at_the_end = found.at_the_end, .error = found.error};
    if (old.empty()) return step;
    if (!key_lock::raise_floor(directory_, floor)) return {.error = errno};
    for (const std::string& name : old) {
        if (remove_if_free(directory_, name, floor)) ++step.swept;
    }
    return step;
}

}  // namespace jamsock
