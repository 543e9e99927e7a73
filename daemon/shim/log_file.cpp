#include "daemon/shim/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/runtime_paths.h"
#include "common/unique_fd.h"

namespace jamsock {

bool LogFile::follow() const {
    if (directory_ < 0) return true;
    struct stat open {
    }, named{};
    if (::fstatat(directory_, state_file::log, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::fstat(fd_, &open) == 0 && open.st_dev == named.st_dev && open.st_ino == named.st_ino) {
        return true;
    }
    // A FIFO at its place must not make us wait.
    const UniqueFd log(::openat(directory_, state_file::log,
                                O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                                0600));
    if (!log || ::fstat(log.get(), &named) != 0) return false;
    if (!S_ISREG(named.st_mode)) {
        errno = EEXIST;
        return false;
    }
    return ::dup2(log.get(), fd_) >= 0;
}

void LogFile::make_room(size_t size) const {
    if (directory_ < 0) return;
    const auto is_too_large = [&] {
        struct stat log {};
        return ::fstat(fd_, &log) == 0 && S_ISREG(log.st_mode) && log.st_size > 0 &&
               log.st_size + static_cast<long long>(size) > largest;
    };
    const bool follows = follow();
    if (!is_too_large()) return;
    if (follows && ::renameat(directory_, state_file::log, directory_, older_name) == 0) follow();
    if (is_too_large()) [[maybe_unused]]
        const int cut = ::ftruncate(fd_, 0);
}

}  // namespace jamsock
