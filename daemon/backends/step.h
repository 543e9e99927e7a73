// The steps of a backend's start and end at which a test can have the daemon killed: in builds with
// JAMSOCK_TEST_STEPS (all presets but release) the worker kills itself there, once, if the state
// directory has a file `steps/<name>`; one with the word "keeper" in it has the keeper killed
// before, one with "stop" only stops the worker. In every other build `at_step` is nothing at all.
// tests/faults/every_step walks the table, so that each step is reached.
#pragma once

#include <array>
#include <string_view>

namespace jamsock {

enum class Step {
    row_committed,
    directory_made,
    shim_spawned,
    locked_heard,
    starting_recorded,
    go_sent,
    started_heard,
    waiting_recorded,
    ready_marked,
    ready_recorded,
    connect_granted,
    terminate_asked,
    terminating_recorded,
    shim_told,
    ending_heard,
    shim_left,
    record_read,
    terminated_recorded,
    moved_to_history,
    end_awaited,
    loss_recorded,
    survivors_killed,
    loss_proved,
    record_seen,
    live_found,
    one_taken_in,
    one_adopted,
};

// What has to happen for a step to be reached.
enum class Phase { start, end, loss_of_shim, recovery };

struct StepEntry {
    Step step;
    std::string_view name;
    Phase phase;
};

inline constexpr std::array steps{
    StepEntry{Step::row_committed, "row-committed", Phase::start},
    StepEntry{Step::directory_made, "directory-made", Phase::start},
    StepEntry{Step::shim_spawned, "shim-spawned", Phase::start},
    StepEntry{Step::locked_heard, "locked-heard", Phase::start},
    StepEntry{Step::starting_recorded, "starting-recorded", Phase::start},
    StepEntry{Step::go_sent, "go-sent", Phase::start},
    StepEntry{Step::started_heard, "started-heard", Phase::start},
    StepEntry{Step::waiting_recorded, "waiting-recorded", Phase::start},
    StepEntry{Step::ready_marked, "ready-marked", Phase::start},
    StepEntry{Step::ready_recorded, "ready-recorded", Phase::start},
    StepEntry{Step::connect_granted, "connect-granted", Phase::start},
    StepEntry{Step::terminate_asked, "terminate-asked", Phase::end},
    StepEntry{Step::terminating_recorded, "terminating-recorded", Phase::end},
    StepEntry{Step::shim_told, "shim-told", Phase::end},
    StepEntry{Step::ending_heard, "ending-heard", Phase::end},
    StepEntry{Step::shim_left, "shim-left", Phase::end},
    StepEntry{Step::record_read, "record-read", Phase::end},
    StepEntry{Step::terminated_recorded, "terminated-recorded", Phase::end},
    StepEntry{Step::moved_to_history, "moved-to-history", Phase::end},
    StepEntry{Step::end_awaited, "end-awaited", Phase::end},
    StepEntry{Step::loss_recorded, "loss-recorded", Phase::loss_of_shim},
    StepEntry{Step::survivors_killed, "survivors-killed", Phase::loss_of_shim},
    StepEntry{Step::loss_proved, "loss-proved", Phase::loss_of_shim},
    StepEntry{Step::record_seen, "record-seen", Phase::recovery},
    StepEntry{Step::live_found, "live-found", Phase::recovery},
    StepEntry{Step::one_taken_in, "one-taken-in", Phase::recovery},
    StepEntry{Step::one_adopted, "one-adopted", Phase::recovery},
};

constexpr bool is_one_row_per_step() {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (static_cast<std::size_t>(steps[i].step) != i) return false;
    }
    return steps.size() == static_cast<std::size_t>(Step::one_adopted) + 1;
}
static_assert(is_one_row_per_step());

#ifdef JAMSOCK_TEST_STEPS
// Once, before the first step. The descriptor must stay open.
void watch_steps(int state_directory);
void at_step(Step step);
#else
constexpr void watch_steps(int) {
}
constexpr void at_step(Step) {
}
#endif

}  // namespace jamsock
