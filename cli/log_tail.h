// The end of a growing text file.
#pragma once

#include <cstddef>
#include <string>

#include "common/unique_fd.h"

namespace jamsock {

// Where the last `lines` lines of the open file begin: an offset in bytes. The last line counts
// whether or not a newline ends it.
std::size_t start_of_last_lines(int fd, std::size_t lines);

// Reads the file from an offset on, whole lines at a time, as the file grows.
class LineReader {
  public:
    LineReader(UniqueFd file, std::size_t offset) : file_(std::move(file)), offset_(offset) {}

    // The lines that have become whole since, each escaped and with its newline; at `end_of_file`
    // also the last one without.
    std::string read_lines(bool end_of_file);

    // Whether `other` is the same file and has not become shorter than what was read.
    bool is_at(int other) const;

  private:
    UniqueFd file_;
    std::size_t offset_;
    std::string unfinished_;
};

}  // namespace jamsock
