#include "daemon/state_watch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "common/file_lock.h"
#include "common/runtime_paths.h"

namespace jamsock {

StateWatch::StateWatch(int directory, int daemon_lock)
    : directory_(directory), daemon_lock_(daemon_lock), socket_(socket_inode()) {
}

StateWatch::Look StateWatch::look() {
    struct stat directory {};
    if (::fstat(directory_, &directory) == 0 && directory.st_nlink == 0) return Look::removed;
    const auto socket = socket_inode();
    const bool is_lost = !keeps_lock() || !socket;
    if (std::exchange(was_lost_, is_lost) && is_lost) return Look::lost;
    return !socket || socket == socket_ ? Look::well : Look::covered;
}

bool StateWatch::keeps_lock() const {
    return leads_to(directory_, state_file::daemon_lock, daemon_lock_);
}

std::optional<ino_t> StateWatch::socket_inode() const {
    struct stat status {};
    if (::fstatat(directory_, state_file::socket, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    return status.st_ino;
}

}  // namespace jamsock
