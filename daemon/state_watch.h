// Looks after the names in the state directory by which a daemon is found and others are kept out:
// `daemon.lock`, whose lock keeps nobody out once the name leads to another file, and the socket.
// Control thread.
#pragma once

#include <sys/types.h>

#include <optional>

namespace jamsock {

class StateWatch {
  public:
    // The descriptors, of the directory and of the locked file, must outlive this. The socket is
    // the one that has the name now.
    StateWatch(int directory, int daemon_lock);

    enum class Look {
        well,
        covered,  // something else has the socket's name: it is its owner's to take away
        lost,  // daemon.lock is gone or another one, or the socket's name is gone, and were before
        removed,  // the directory itself
    };
    // To be called every `timeouts::state_look`: what is lost for one look may be about to go with
    // the whole directory.
    Look look();

    // Whether the lock still is the directory's.
    bool keeps_lock() const;

  private:
    std::optional<ino_t> socket_inode() const;

    int directory_;
    int daemon_lock_;
    std::optional<ino_t> socket_;
    bool was_lost_ = false;
};

}  // namespace jamsock
