// The files in a backend's directory that hold its output, as jamsock-shim writes them and the
// command line reads them. Either may be of another version than the other: what is here stays.
//
// `output.log` is the newest; a full one becomes `.1`, that one `.2`, that one is removed. Each
// has its times in `<name>.times`: records of 16 bytes in the machine's byte order. The first is
// {magic, inode of the log}; each other one {offset, wall milliseconds} says that what stands from
// this offset on, up to the next record's, came at this time or within `time_spacing` after it. The
// index is written as well as can be: it may be missing, of another inode, or cut; offsets rise. A
// log whose index is full (`largest_times`) is rotated.
//
// As long as the shim may write, it keeps a read lock (F_OFD_SETLK) on the directory itself, taken
// before `output.log` is made.
#pragma once

#include <array>
#include <cstdint>

namespace jamsock::output_file {

// Newest first.
inline constexpr std::array<const char*, 3> names{"output.log", "output.log.1", "output.log.2"};
inline constexpr std::array<const char*, 3> times_names{"output.log.times", "output.log.1.times",
                                                        "output.log.2.times"};

struct TimesRecord {
    std::uint64_t offset;
    std::int64_t wall_milliseconds;
};
static_assert(sizeof(TimesRecord) == 16);

inline constexpr std::uint64_t times_magic = 0x31454d49544f534a;  // "JSOTIME1" in the file
inline constexpr std::int64_t time_spacing = 1000;                // milliseconds
inline constexpr std::uint64_t largest_times = 4 * 1024 * 1024;   // three days of output

}  // namespace jamsock::output_file
