#include "common/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace jamsock {

bool leads_to(int directory_fd, const std::string& name, int file_fd) {
    struct stat named {};
    struct stat open {};
    return ::fstatat(directory_fd, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ::fstat(file_fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

FileLock FileLock::try_lock(int directory_fd, const std::string& name) {
    FileLock lock;
    do {
        lock.fd_.reset(
            ::openat(directory_fd, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!lock || ::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) return {};
    } while (!leads_to(directory_fd, name, lock.fd_.get()));
    return lock;
}

}  // namespace jamsock
