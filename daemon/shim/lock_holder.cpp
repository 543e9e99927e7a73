#include "daemon/shim/lock_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace jamsock {

namespace {

using Outcome = LockAttempt::Outcome;

// "<token> <backend id>\n", padded to one length: a shorter id leaves nothing of a longer one
// behind, and so small a write stays within one sector of the disk. 19 digits hold any token.
constexpr const char* line_format = "%-19lld %-59.59s\n";
constexpr std::size_t line_length = 80;

struct Claim {
    std::int64_t token = 0;
    std::string holder;
};

LockAttempt failure(const char* what) {
    return {.outcome = Outcome::failed, .what = what, .error = errno};
}

// A file that holds no token (new, or emptied by a power cut before its first claim was durable)
// counts as token 0, as it does for the worker.
Claim read_claim(int fd) {
    char text[line_length];
    const ssize_t length = ::pread(fd, text, sizeof text, 0);
    Claim claim;
    if (length <= 0) return claim;
    std::string_view line(text, static_cast<std::size_t>(length));
    const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), claim.token);
    if (failed != std::errc{}) return Claim{};
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    claim.holder = line.substr(0, line.find_first_of(" \n"));
    return claim;
}

bool write_claim(int fd, std::int64_t token, const std::string& backend_id) {
    char text[line_length + 2];  // a sign and the end of text
    ::snprintf(text, sizeof text, line_format, static_cast<long long>(token), backend_id.c_str());
    const ssize_t written = ::pwrite(fd, text, line_length, 0);
    const bool complete = written == static_cast<ssize_t>(line_length);
    if (written >= 0 && !complete) errno = ENOSPC;
    return complete && ::fdatasync(fd) == 0;
}

bool lock_shared(int fd) {
    return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

bool lock_alone(int fd) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

}  // namespace

LockAttempt LockHolder::try_take(std::int64_t token, const std::string& backend_id) {
    LockAttempt attempt = lock_file();
    if (attempt.outcome == Outcome::taken) attempt = claim(token, backend_id);
    if (attempt.outcome != Outcome::taken) release();
    return attempt;
}

// Our own first: while a shim lives, whoever tries never has the lock that its backend shares. The
// worker may unlink an old lock file while it holds both: whoever waited with that file open then
// locks a file that no path leads to, and has to open the path again.
LockAttempt LockHolder::lock_file() {
    do {
        LockAttempt attempt = lock_opening(own_, &lock_alone);
        if (attempt.outcome == Outcome::taken) attempt = lock_opening(file_, &lock_shared);
        if (attempt.outcome != Outcome::taken) return attempt;
    } while (!is_in_place());
    return {.outcome = Outcome::taken};
}

LockAttempt LockHolder::lock_opening(UniqueFd& opening, bool (*lock)(int)) {
    opening.reset(
        ::openat(directory_, name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!opening) return failure("open lock file");
    if (lock(opening.get())) return {.outcome = Outcome::taken};
    if (errno != EWOULDBLOCK && errno != EACCES) return failure("lock");
    const Claim other = read_claim(opening.get());
    return {.outcome = Outcome::busy, .holder = other.holder, .token = other.token};
}

bool LockHolder::keep() {
    return lock_shared(file_.get());
}

void LockHolder::release() {
    file_.reset();
    own_.reset();
}

LockAttempt LockHolder::claim(std::int64_t token, const std::string& backend_id) {
    const Claim last = read_claim(file_.get());
    if (last.token >= token) return {.outcome = Outcome::stale, .token = last.token};
    if (!write_claim(file_.get(), token, backend_id)) return failure("write lock file");
    // A new file's token is durable only with its directory entry.
    if (last.token == 0 && ::fsync(directory_) != 0) return failure("sync lock directory");
    return {.outcome = Outcome::taken};
}

bool LockHolder::is_in_place() const {
    struct stat named {};
    if (::fstatat(directory_, name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) return false;
    for (const UniqueFd* opening : {&own_, &file_}) {
        struct stat held {};
        const bool is_it = ::fstat(opening->get(), &held) == 0 && held.st_dev == named.st_dev &&
                           held.st_ino == named.st_ino;
        if (!is_it) return false;
    }
    return true;
}

std::string LockHolder::path() const {
    return "/proc/self/fd/" + std::to_string(directory_) + "/" + name_;
}

}  // namespace jamsock
