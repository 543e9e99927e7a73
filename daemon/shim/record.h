// A backend's file `record`: what its shim did, stage by stage. It is the truth that the worker
// reads when shim or worker died; the channel's messages are only hints. The file is written out in
// full when it is made, each stage has a sector of its own, and a stage whose checksum is wrong
// (torn by a power cut) reads as absent. What tells of the end is on the disk when its call
// returns; what tells of the start is in the kernel's hands, where no crash of a process loses it:
// after a power cut no backend lives that it could tell of, and a start doesn't wait for the disk.
// libc only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/unique_fd.h"

namespace jamsock {

struct ShimRecord {
    // Stage `begun`, written before the lock is taken.
    std::string boot_id;
    pid_t shim_pid = 0;
    std::uint64_t shim_start_time = 0;
    std::uint64_t cgroup = 0;  // the shim's, as cgroup_hash has it; 0: not known

    struct Started {
        pid_t pid = 0;
        std::uint64_t start_time = 0;
    };
    std::optional<Started> started;  // right after the fork; stays when the exec then fails

    struct Ending {
        std::string kind;        // "soft" or "hard"; a hard one replaces a soft one
        std::string reason;      // a termination reason; empty for an exit of its own
        std::string cause = {};  // which limit passed, where the reason doesn't tell
    };
    std::optional<Ending> ending;

    struct MainExited {
        std::optional<int> code;  // one of code and signal is set
        std::optional<int> signal;
        std::int64_t user_microseconds = 0;
        std::int64_t system_microseconds = 0;
        std::int64_t max_rss_kib = 0;
        std::uint64_t dropped_log_bytes = 0;
    };
    std::optional<MainExited> main_exited;

    std::uint64_t dropped_log_bytes = 0;  // in all, whenever
    bool tree_empty = false;  // no process of the backend lives, or none was ever started
};

// The shim's side. Each call returns whether its stage is recorded, as far as said above.
class RecordWriter {
  public:
    // Makes the file; nothing if it exists or can't be written (errno says why).
    static std::optional<RecordWriter> create(int backend_directory_fd);

    bool begun(const std::string& boot_id, pid_t shim_pid, std::uint64_t shim_start_time,
               std::uint64_t cgroup);
    bool started(const ShimRecord::Started& started);
    bool ending(const ShimRecord::Ending& ending);
    bool main_exited(const ShimRecord::MainExited& exited);
    bool log_dropped(std::uint64_t bytes);  // in all; as durable as a start
    bool tree_empty();

  private:
    RecordWriter(UniqueFd file, int directory) : file_(std::move(file)), directory_(directory) {}

    UniqueFd file_;
    int directory_;  // not owned
};

// Nothing if there is no record, or its stage `begun` is absent.
std::optional<ShimRecord> read_record(int backend_directory_fd);

// Of the running kernel; empty if it can't be read.
std::string current_boot_id();

}  // namespace jamsock
