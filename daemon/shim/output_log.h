// A backend's output: the reading end of the pipe that is its stdout and stderr, and the files in
// its directory that it goes to (common/output_files.h), rotated so that a chatty backend can't
// fill the disk. What can't be written is counted and dropped: a full disk must never stop a
// backend. How much was lost is told in the log itself, in a line of its own, as soon as writing
// works again. libc only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/unique_fd.h"
#include "daemon/shim/output_times.h"

namespace jamsock {

class OutputLog {
  public:
    using WallClock = std::int64_t (*)();  // milliseconds
    static std::int64_t wall_time();

    explicit OutputLog(int backend_directory, WallClock clock = wall_time)
        : directory_(backend_directory), clock_(clock) {}

    // Makes the pipe and opens the file. False, with errno, if either fails.
    bool open();

    // The writing end, for the backend. Close it here once the backend has it.
    UniqueFd take_writer() { return std::move(writer_); }

    // The descriptor to wait on; -1 after the end of file.
    int reader() const { return reader_.get(); }
    // Moves what is in the pipe to the file, up to 1 MiB: more waits for the next call.
    void copy();
    // Moves what is in the pipe now: at most what it can hold, since a stranger may have got hold
    // of its other end.
    void drain();
    // The same for the last time; tells what was lost.
    void finish();

    std::uint64_t dropped_bytes() const { return dropped_; }

  private:
    std::size_t copy_once();
    bool lock_directory();
    bool open_file();
    void append(const char* bytes, std::size_t size);
    std::size_t part_for_this_file(const char* bytes, std::size_t size) const;
    std::size_t write(const char* bytes, std::size_t size);
    bool tell_losses();
    void lose(std::size_t bytes);
    bool is_full() const;
    void rotate();

    int directory_;  // not owned
    WallClock clock_;
    UniqueFd directory_lock_;
    UniqueFd reader_;
    UniqueFd writer_;
    UniqueFd file_;
    OutputTimes times_;
    std::uint64_t file_size_ = 0;
    bool at_line_start_ = true;
    std::uint64_t dropped_ = 0;
    std::uint64_t untold_ = 0;  // of these, not yet told in the log
    int last_error_ = 0;        // why
};

}  // namespace jamsock
