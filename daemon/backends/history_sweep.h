// Removes directories of `history/`: those of backends that the store has forgotten, and old ones
// that it doesn't know, left by a crash or a lost database. Blocks on files: for the helper thread,
// one call at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "daemon/backends/directory_walk.h"

namespace jamsock {

class HistorySweep {
  public:
    // `history_directory` must outlive this.
    explicit HistorySweep(int history_directory)
        : directory_(history_directory), walk_(history_directory) {}

    struct Found {
        std::vector<BackendId> old;
        bool at_the_end = false;  // of the directory: the next look begins anew
        int error = 0;            // errno, if it can't be read
    };
    // Looks at the next `most` directories, for those where nothing came or went after `before`
    // (wall milliseconds).
    Found find_old(std::int64_t before, std::size_t most);

    // How many were there and are gone.
    std::size_t remove(const std::vector<BackendId>& backends) const;

  private:
    int directory_;
    DirectoryWalk walk_;
};

}  // namespace jamsock
