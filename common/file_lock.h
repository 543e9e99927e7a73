// An exclusive flock on a file: for `daemon.lock` (one daemon) and `start.lock` (one starter).
// The kernel frees it when the last descriptor is gone, however its owners die.
#pragma once

#include <string>

#include "common/unique_fd.h"

namespace jamsock {

// Whether `name` in the directory leads to this open file.
bool leads_to(int directory_fd, const std::string& name, int file_fd);

class FileLock {
  public:
    // Takes the lock on `name` in the directory `directory_fd`, making the file (0600) if needed:
    // of the file to which the name leads when this is done. Empty if another holds it or the file
    // can't be opened (then errno is not EWOULDBLOCK).
    static FileLock try_lock(int directory_fd, const std::string& name);

    explicit operator bool() const { return static_cast<bool>(fd_); }
    // Hands over the descriptor that carries the lock (close-on-exec); who inherits it shares the
    // lock.
    UniqueFd release() { return std::move(fd_); }

  private:
    UniqueFd fd_;
};

}  // namespace jamsock
