// The directories `backends/<id>/` of live backends and `history/<id>/` of ended ones (DESIGN,
// Files at run time): made before the start, all that recovery needs without a database. File work
// that may block: for the helper thread. Names come through open directories, so no path is too
// long.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "daemon/backends/backend_record.h"
#include "daemon/shim/record.h"

namespace jamsock {

class BackendFiles {
  public:
    // Makes `backends`, `history`, `locks` and `mounts` in the state directory where they are
    // missing.
    static Result<BackendFiles> open(int state_directory);

    // Which one it is (mark.h).
    const std::string& state_directory() const { return state_directory_; }
    int locks() const { return locks_.get(); }
    int history() const { return history_.get(); }

    // Makes the directory with the file `identity`, and gives its descriptor.
    Result<UniqueFd> create(const BackendRecord& record) const;

    // Makes the directory `path` (relative, of plain parts) in `mounts`, for the owner alone, where
    // it is missing. Follows no symbolic link.
    Result<> make_mount(const std::string& path) const;

    // The ids of all directories in `backends`. DaemonUnavailable if they can't be read: who took
    // none for all would take what runs for what was left.
    Result<std::vector<BackendId>> live() const;

    // What a live directory says, be it of this state directory or a copy of another's. Empty where
    // it has no readable `identity`: the worker died while making it, so nothing was started.
    struct Found {
        UniqueFd directory;
        BackendRecord record;
        std::optional<ShimRecord> shim;
        std::optional<ReadyMark> ready;
    };
    Result<std::optional<Found>> read(const BackendId& id) const;

    // Remembers that the backend became ready, and where, for recovery.
    static void mark_ready(int directory, const ReadyMark& mark);

    void move_to_history(const BackendId& id) const;
    // Whether it is there.
    bool has_ended(std::string_view id) const;
    // What its shim recorded, if that can be read; nothing if no backend of that id and mark is
    // there.
    std::optional<ShimRecord> record_of_ended(const BackendId& id, const std::string& mark) const;

    // The last `count` lines of the backend's output, live or ended, oldest first.
    std::vector<std::string> log_tail(const BackendId& id, std::size_t count) const;

    // How much of its output could not be written, live or ended.
    std::uint64_t dropped_log_bytes(const BackendId& id) const;

    // Live or ended; empty if there is none.
    UniqueFd directory_of(const BackendId& id) const;

  private:
    std::string state_directory_;
    UniqueFd backends_;
    UniqueFd history_;
    UniqueFd locks_;
    UniqueFd mounts_;
};

}  // namespace jamsock
