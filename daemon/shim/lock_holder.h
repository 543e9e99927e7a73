// The key's kernel lock, as its holder: the file locks/<name>, with our claim in
// it (DESIGN, The promise, layer 3), under two locks. One is flock's, whose descriptor the
// backend inherits: it lasts as long as anything of the backend, but any of it may unlock it
// (`flock -u`). The other belongs to an opening of our own (F_OFD_SETLK), which no backend has. Who
// takes the key needs both, so one release isn't enough; shims of before know flock's alone, which
// is common to all. libc only.
#pragma once

#include <cstdint>
#include <string>

#include "common/unique_fd.h"
#include "daemon/shim/lock_claim.h"

namespace jamsock {

struct LockAttempt {
    enum class Outcome { taken, busy, stale, failed };
    Outcome outcome = Outcome::failed;
    std::string holder;      // busy: the backend's id in the file
    std::int64_t token = 0;  // busy, stale: the fencing token in the file
    const char* what = "";   // failed: the call
    int error = 0;           // failed: its errno
};

class LockHolder {
  public:
    LockHolder(int locks_directory, std::string name)
        : directory_(locks_directory), name_(std::move(name)) {}

    // Tries once, without waiting. Taken: our claim is written and on the disk. The lock is
    // given up again on any other outcome.
    LockAttempt try_take(const LockClaim& ours);

    // The descriptor with flock's lock, which lives until the last copy of it is closed or one is
    // unlocked.
    int fd() const { return file_.get(); }

    // Locks again what a copy unlocked. False if somebody else holds it now.
    bool keep();

    void release();

    // Whether the path still leads to the locked file: if not, another could lock the path as well.
    bool is_in_place() const;

    // For inotify, which takes a path.
    std::string path() const;

  private:
    LockAttempt lock_file();
    LockAttempt lock_opening(UniqueFd& opening, bool (*lock)(int));
    LockAttempt claim(const LockClaim& ours);

    int directory_;  // not owned
    std::string name_;
    UniqueFd own_;   // has the lock that is ours alone
    UniqueFd file_;  // has the lock that is inherited
};

}  // namespace jamsock
