// A backend's output: the reading end of the pipe that is its stdout and stderr, and `output.log`
// in its directory, rotated so that a chatty backend can't fill the disk. What can't be written is
// counted and dropped: a full disk must never stop a backend. libc only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/unique_fd.h"

namespace jamsock {

class OutputLog {
  public:
    explicit OutputLog(int backend_directory) : directory_(backend_directory) {}

    // Makes the pipe and opens the file. False, with errno, if either fails.
    bool open();

    // The writing end, for the backend. Close it here once the backend has it.
    UniqueFd take_writer() { return std::move(writer_); }

    // The descriptor to wait on; -1 after the end of file.
    int reader() const { return reader_.get(); }
    // Moves one buffer's worth from the pipe to the file.
    void copy();
    // Moves what is in the pipe now, for the end: at most what a pipe can hold, since a stranger
    // may have got hold of its other end.
    void drain();

    std::uint64_t dropped_bytes() const { return dropped_; }

  private:
    bool copy_once();
    bool open_file();
    void append(const char* bytes, std::size_t size);
    void rotate();

    int directory_;  // not owned
    UniqueFd reader_;
    UniqueFd writer_;
    UniqueFd file_;
    std::uint64_t file_size_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace jamsock
