// The end of a growing text file.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "common/unique_fd.h"

namespace jamsock {

inline constexpr std::chrono::milliseconds follow_pause{200};  // between looks at one that grows

// Up to `size` bytes from `offset` on; fewer only at the end.
using ReadAt = std::function<std::string(std::size_t offset, std::size_t size)>;
std::string read_at(int fd, std::size_t offset, std::size_t size);

// Where the last `lines` lines of the first `size` bytes begin: an offset in bytes. The last line
// counts whether or not a newline ends it.
std::size_t start_of_last_lines(const ReadAt& read, std::size_t size, std::size_t lines);
// … of the open file.
std::size_t start_of_last_lines(int fd, std::size_t lines);

// Makes whole lines of the pieces that a text comes in, each line escaped and with its newline.
class LineEscaper {
  public:
    // The lines that have become whole.
    std::string add(std::string_view bytes);
    // The last line, if no newline ended it.
    std::string finish();

  private:
    std::string unfinished_;
};

// Reads the file from an offset on, whole lines at a time, as the file grows.
class LineReader {
  public:
    LineReader(UniqueFd file, std::size_t offset) : file_(std::move(file)), offset_(offset) {}

    // The lines that have become whole since, escaped; at `end_of_file` also the last one without
    // a newline.
    std::string read_lines(bool end_of_file);

    // Whether `other` is the same file and has not become shorter than what was read.
    bool is_at(int other) const;

  private:
    UniqueFd file_;
    std::size_t offset_;
    LineEscaper lines_;
};

}  // namespace jamsock
