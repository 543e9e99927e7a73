// jamsockd.log of a daemon in the background, behind standard error. Keeper and worker each look at
// it before they write. One of them alone moves it aside when it has grown: the worker, from the
// thread that writes its log, and the keeper while it has no worker. Libc only.
#pragma once

#include <stddef.h>

namespace jamsock {

class LogFile {
  public:
    static constexpr long long largest = 10 * 1024 * 1024;
    static constexpr const char* older_name = "jamsockd.log.1";

    // `directory` stays open for as long as this is used; -1: there is no such file, and nothing
    // is done. `fd` is what is written to.
    LogFile(int directory, int fd) : directory_(directory), fd_(fd) {}

    // Makes `fd` the file that has the name now, and makes a new one where there is none. False,
    // with errno, if it can't; then `fd` is what it was.
    bool follow() const;
    // Follows, for whoever moves it aside, too, so that `size` bytes more don't make it too large.
    // A file that can't be moved is emptied: `fd` has followed before.
    void make_room(size_t size) const;

  private:
    int directory_;
    int fd_;
};

}  // namespace jamsock
