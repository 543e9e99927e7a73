#include "daemon/housekeeping.h"

#include <string.h>

#include "daemon/log.h"

namespace jamsock {

namespace {

// What can't be forgotten now is found again in the next round.
template <class T>
void note(const Result<T>& forgotten) {
    if (!forgotten) log::warn("old rows can't be swept: {}", with_cause(forgotten.error()));
}

}  // namespace

Housekeeping::Housekeeping(Store& store, StoreWriter& writer, const BackendFiles& files,
                           HelperThread& helper, Rules rules)
    : store_(store),
      writer_(writer),
      helper_(helper),
      rules_(std::move(rules)),
      history_sweep_(files.history()),
      lock_sweep_(files.locks()) {
}

Task<> Housekeeping::step() {
    const auto is_due = [](const Round& round) {
        return std::chrono::steady_clock::now() >= round.next_step;
    };
    if (is_due(history_round_)) co_await sweep_history();
    if (is_due(lock_round_)) co_await sweep_locks();
}

void Housekeeping::end(Round& round, const char* what, int error) const {
    if (error != 0) log::warn("the {} can't be swept: {}", what, ::strerror(error));
    if (round.swept > 0) log::info("{} of the {} were swept", round.swept, what);
    round = {.next_step = after(rules_.pause)};
}

// The row first: a crash in between leaves a directory that no row names, which goes by its age.
Task<> Housekeeping::sweep_history() {
    const std::int64_t before = rules_.now() - rules_.history_life.count();
    const auto forgotten = co_await writer_.forget_ended(before, rules_.most_at_once);
    note(forgotten);
    std::vector<BackendId> gone = forgotten.value_or(std::vector<BackendId>());
    const auto revoked = co_await writer_.forget_revoked(rules_.now() / 1000, rules_.most_at_once);
    note(revoked);
    const bool rows_are_left = gone.size() == rules_.most_at_once || revoked == rules_.most_at_once;
    const HistorySweep::Found found = co_await find_old_directories(before);
    for (const BackendId& id : found.old) {
        if (!store_.find_backend(id)) gone.push_back(id);
    }
    const std::size_t removed = co_await remove_directories(gone);
    history_round_.swept += removed;
    const bool is_over = found.error != 0 || (found.at_the_end && !rows_are_left);
    if (is_over) end(history_round_, "directories of ended backends", found.error);
}

// The rows last: until then they say what the floor says.
Task<> Housekeeping::sweep_locks() {
    const LockSweep::Step swept = co_await sweep_next_locks();
    lock_round_.swept += swept.swept;
    const auto forgotten = co_await writer_.forget_fencing_tokens(swept.floor, rules_.most_at_once);
    note(forgotten);
    const bool rows_are_left = forgotten && *forgotten == rules_.most_at_once;
    const bool is_over = swept.error != 0 || (swept.at_the_end && !rows_are_left);
    if (is_over) end(lock_round_, "lock files of unused keys", swept.error);
}

Task<HistorySweep::Found> Housekeeping::find_old_directories(std::int64_t before) {
    return helper_.run(
        [this, before] { return history_sweep_.find_old(before, rules_.most_at_once); });
}

Task<std::size_t> Housekeeping::remove_directories(const std::vector<BackendId>& backends) {
    return helper_.run([this, backends] { return history_sweep_.remove(backends); });
}

Task<LockSweep::Step> Housekeeping::sweep_next_locks() {
    return helper_.run([this, in_use = rules_.locks_in_use(),
                        before = rules_.now() - rules_.lock_file_life.count()] {
        return lock_sweep_.step(in_use, before, rules_.most_at_once);
    });
}

}  // namespace jamsock
