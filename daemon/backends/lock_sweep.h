// Removes the lock files of keys that nobody has used for long (DESIGN, The promise): a file whose
// lock is free and whose last claim is old, after the floor has been raised to its fencing token.
// A shim that takes such a key at that moment finds its file in place, or opens the path again.
// Blocks on files: for the helper thread, one call at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "daemon/backends/directory_walk.h"

namespace jamsock {

class LockSweep {
  public:
    // `locks_directory` must outlive this.
    explicit LockSweep(int locks_directory) : directory_(locks_directory), walk_(locks_directory) {}

    struct Step {
        std::size_t swept = 0;    // files that were removed
        std::int64_t floor = 0;   // all tokens up to it need no other record
        bool at_the_end = false;  // of the directory: the next step begins anew
        int error = 0;            // errno, if nothing could be done
    };
    // Looks at the next `most_files` files and removes those whose last claim was before
    // `before` (wall milliseconds), but for the names `in_use`: of backends that live, or are
    // about to.
    Step step(const std::unordered_set<std::string>& in_use, std::int64_t before,
              std::size_t most_files);

  private:
    std::optional<std::int64_t> token_if_old(const std::string& name, std::int64_t before) const;

    int directory_;
    DirectoryWalk walk_;
};

}  // namespace jamsock
