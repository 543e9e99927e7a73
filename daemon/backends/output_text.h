// The output files of a backend (common/output_files.h) as one text that grows, over their
// rotation and over the backend's end. A position in it means the same bytes for as long as this
// lives. Blocks: for the helper thread, one call at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/unique_fd.h"
#include "daemon/backends/backend_files.h"

namespace jamsock {

class OutputText {
  public:
    // `files` must outlive this. There may be no output yet.
    OutputText(const BackendFiles& files, const BackendId& backend)
        : backend_files_(files), backend_(backend) {}

    // Takes in what has come. Gives the text's end.
    std::uint64_t look();

    struct Piece {
        std::uint64_t position = 0;  // of its first byte: not what was asked for if that is gone
        std::string bytes;           // empty: nothing is there, or it can't be read
    };
    // Up to `size` bytes of what the last look has seen, from `position` on, or from where the next
    // begins that is still kept.
    Piece read(std::uint64_t position, std::size_t size) const;

  private:
    // Held open, so that no other file gets its inode's number.
    struct File {
        UniqueFd log;
        ino_t inode = 0;
        std::int64_t start = 0;  // the position of its first byte
        std::int64_t size = 0;

        std::int64_t end() const { return start + size; }
    };

    struct Newer {
        std::vector<File> files;   // oldest first
        bool follow_ours = false;  // nothing was between our newest one and these
    };

    void look_at_newest();
    Newer newer_files() const;

    const BackendFiles& backend_files_;
    BackendId backend_;
    UniqueFd directory_;
    std::vector<File> files_;  // oldest first
};

}  // namespace jamsock
