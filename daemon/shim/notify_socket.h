// The socket behind a backend's NOTIFY_SOCKET (sd_notify(3)), where it may say READY=1. Its name is
// random and abstract, so that it needs no directory and no path is too long. Single-threaded; libc
// only.
#pragma once

#include <string>

#include "common/unique_fd.h"

namespace jamsock {

class NotifySocket {
  public:
    // False, with errno, if it can't be made.
    bool open();

    int fd() const { return socket_.get(); }
    // As the variable has it: "@…".
    const std::string& name() const { return name_; }

    // Takes all that has come, without waiting; whether READY=1 was said. Any process of our own
    // user may say it, whoever its parent is: who notifies and exits at once (systemd-notify) can't
    // be looked up any more, and only the backend's processes are told the name.
    bool take_ready();

  private:
    UniqueFd socket_;
    std::string name_;
};

}  // namespace jamsock
