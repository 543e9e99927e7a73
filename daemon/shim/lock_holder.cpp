#include "daemon/shim/lock_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace jamsock {

namespace {

using Outcome = LockAttempt::Outcome;

LockAttempt failure(const char* what) {
    return {.outcome = Outcome::failed, .what = what, .error = errno};
}

bool write_claim(int fd, const LockClaim& claim) {
    const std::string text = text_of(claim);
    const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
    const bool complete = written == static_cast<ssize_t>(text.size());
    if (written >= 0 && !complete) errno = ENOSPC;
    return complete && ::fdatasync(fd) == 0;
}

// Of a number that is no token: neither a claim, nor what a claim goes by.
bool is_damaged(const LockClaim& claim) {
    if (claim.token <= greatest_fencing_token) return false;
    errno = ERANGE;
    return true;
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

LockAttempt LockHolder::try_take(const LockClaim& ours) {
    LockAttempt attempt = lock_file();
    if (attempt.outcome == Outcome::taken) attempt = claim(ours);
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
    const LockClaim other = read_claim(opening.get());
    return {.outcome = Outcome::busy, .holder = other.backend, .token = other.token};
}

bool LockHolder::keep() {
    return lock_shared(file_.get());
}

void LockHolder::release() {
    file_.reset();
    own_.reset();
}

LockAttempt LockHolder::claim(const LockClaim& ours) {
    const LockClaim last = read_claim(file_.get());
    if (is_damaged(last)) return failure("read the lock file's fencing token");
    if (is_damaged(ours)) return failure("write a fencing token");
    if (last.token >= ours.token) return {.outcome = Outcome::stale, .token = last.token};
    if (!write_claim(file_.get(), ours)) return failure("write lock file");
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
