// Sweeps what has had its time, in steps so small that nobody waits for one: ended backends with
// their directories, the revocations of tokens that have expired, and the lock files of keys that
// were used long ago, with the fencing tokens recorded for them. Control thread, which says what is
// in use; what blocks runs on the helper thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/clock.h"
#include "common/timeouts.h"
#include "daemon/asio.h"
#include "daemon/backends/backend_files.h"
#include "daemon/backends/history_sweep.h"
#include "daemon/backends/lock_sweep.h"
#include "daemon/helper_thread.h"
#include "daemon/store/store.h"
#include "daemon/store/store_writer.h"

namespace jamsock {

class Housekeeping {
  public:
    struct Rules {
        std::chrono::milliseconds history_life;  // from a backend's end
        // The lock files of backends that live or are yet to start.
        std::function<std::unordered_set<std::string>()> locks_in_use;
        std::chrono::milliseconds lock_file_life = timeouts::lock_file_life;
        std::chrono::milliseconds pause = timeouts::sweep_pause;
        std::size_t most_at_once = 100;  // files, or rows
        std::function<std::int64_t()> now = &wall_milliseconds;
    };
    // All must outlive this.
    Housekeeping(Store& store, StoreWriter& writer, const BackendFiles& files, HelperThread& helper,
                 Rules rules);

    // The next step of each sweep that is due. To be called every second.
    Task<> step();

  private:
    struct Round {
        Deadline next_step = after({});
        std::size_t swept = 0;
    };
    void end(Round& round, const char* what, int error) const;

    Task<> sweep_history();
    Task<> sweep_locks();
    Task<HistorySweep::Found> find_old_directories(std::int64_t before);
    Task<std::size_t> remove_directories(const std::vector<BackendId>& backends);
    Task<LockSweep::Step> sweep_next_locks();

    Store& store_;
    StoreWriter& writer_;
    HelperThread& helper_;
    Rules rules_;
    HistorySweep history_sweep_;
    LockSweep lock_sweep_;
    Round history_round_;
    Round lock_round_;
};

}  // namespace jamsock
