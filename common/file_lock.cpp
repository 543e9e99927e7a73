#include "common/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

namespace jamsock {

FileLock FileLock::try_lock(int directory_fd, const std::string& name) {
    FileLock lock;
    UniqueFd fd(
        ::openat(directory_fd, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) lock.fd_ = std::move(fd);
    return lock;
}

}  // namespace jamsock
