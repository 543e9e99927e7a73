// The second half of a shim's life, from the fork to the proof that the backend's tree is empty:
// one poll loop over signals, requests, output, lock and timers. Owns what the first half prepared.
// Single-threaded; libc only.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/unique_fd.h"
#include "daemon/shim/backend_process.h"
#include "daemon/shim/daemon_link.h"
#include "daemon/shim/due_times.h"
#include "daemon/shim/lock_holder.h"
#include "daemon/shim/notify_socket.h"
#include "daemon/shim/output_log.h"
#include "daemon/shim/ready_command.h"
#include "daemon/shim/record.h"

namespace jamsock {

// What the first half prepared.
struct Prepared {
    std::string backend_id;
    std::int64_t fencing_token = 0;
    std::int64_t grace_milliseconds = 0;  // for an ending that nobody gave a grace for
    std::uint64_t shim_start_time = 0;
    std::int64_t lifetime_end = DueTimes::never;     // of CLOCK_BOOTTIME, as are all times here
    std::int64_t program_runs_by = DueTimes::never;  // else it is ended hard
    RecordWriter record;
    LockHolder lock;
    DaemonLink link;
    OutputLog log;
    UniqueFd signals;     // SIGCHLD and SIGTERM
    UniqueFd timer;       // non-blocking, of CLOCK_BOOTTIME
    UniqueFd lock_watch;  // inotify; empty where the user has no instance left
    NotifySocket notify;
    ReadyCommand ready_command;
};

class Supervision {
  public:
    Supervision(Prepared prepared, ForkedBackend backend);

    // Returns when waitpid has proved that no process of the backend is left, and that is recorded.
    void run();

  private:
    using Milliseconds = long long;  // of CLOCK_BOOTTIME, where a point in time
    static constexpr Milliseconds never = DueTimes::never;

    void wait_and_handle();
    void arm_timer();

    void on_signals();
    void on_exec_report();
    void on_output();
    void record_losses();
    void on_request();
    void on_connection();
    void on_lock_event();
    void on_notification();
    void on_timer();

    void reap();
    void main_ended(int status, const rusage& usage);
    void tree_is_empty();

    void try_ended(const ReadyTry& ended);
    void became_ready();

    void heed(const Message& request);
    void begin_ending(const ShimRecord::Ending& ending, Milliseconds grace);
    void terminate_softly(Milliseconds grace);
    void kill_everything();
    void give_up_if_blind(bool is_blind);
    void signal_main_group(int signal);
    void check_lock();
    Message hello() const;

    Prepared own_;
    pid_t main_pid_;
    std::uint64_t main_start_time_ = 0;
    UniqueFd exec_report_;  // empty once the exec was done or failed
    Milliseconds armed_ = never;

    std::optional<ShimRecord::Ending> ending_;
    std::optional<ShimRecord::MainExited> main_exited_;
    std::uint64_t recorded_losses_ = 0;
    std::optional<ReadyTry> last_try_;
    bool is_ready_ = false;  // it said READY=1, or its command exited with 0
    bool finished_ = false;

    DueTimes due_;
    Milliseconds kill_pause_ = 0;
    Milliseconds blind_since_ = never;
    bool lost_lock_ = false;  // somebody else has it, as it was last looked at
};

}  // namespace jamsock
