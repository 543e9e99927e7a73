// The index of one log file: when which part of it came (common/output_files.h says its format). It
// is written as well as can be: what can't be written is a gap in the index and harms nothing else.
// libc only.
#pragma once

#include <cstdint>
#include <optional>

#include "common/output_files.h"
#include "common/unique_fd.h"

namespace jamsock {

class OutputTimes {
  public:
    // Begins the empty index of the log with this inode, in place of any that is there.
    void begin(int directory, std::uint64_t log_inode);

    // What comes at `offset` of the log comes now.
    void note(std::uint64_t offset, std::int64_t wall_milliseconds);

    // Whether it is as long as an index may get; its log should be rotated then.
    bool is_full() const;

  private:
    bool write(const output_file::TimesRecord& record);

    UniqueFd file_;
    std::uint64_t log_inode_ = 0;
    std::uint64_t records_ = 0;
    std::optional<std::int64_t> last_;
};

}  // namespace jamsock
