#include "daemon/registry/unrecorded.h"

#include "daemon/log.h"

namespace jamsock {

Task<> Unrecorded::keep_recording() {
    is_running_ = true;
    for (;;) {
        while (!finishing_ && (queue_.empty() || is_blocked_))
            co_await work_.wait_until(never);
        if (queue_.empty() || is_blocked_) break;
        const std::pair<BackendId, StatusChange> first = queue_.front();
        is_trying_ = true;
        const Result<> recorded = co_await record(first.first, first.second);
        is_trying_ = false;
        if (recorded || recorded.error().code == ErrorCode::conflict) {
            queue_.pop_front();
            ++done_;
            on_recorded_();
        } else {
            failure_ = recorded.error();
            ++failures_;
            is_blocked_ = true;
        }
        changed_.notify_all();
    }
    is_running_ = false;
    changed_.notify_all();
}

// Of an end that can't be recorded as it was, that it came: else the key would stay held.
Task<Result<>> Unrecorded::record(const BackendId& backend, const StatusChange& change) {
    Result<> recorded = co_await writer_.record_status(backend, change);
    if (recorded) co_return recorded;
    log::error("backend {}: {} is not recorded: {}", backend.str(), word(change.status),
               with_cause(recorded.error()));
    const bool can_be_bare = change.status == Status::terminated;
    if (recorded.error().code != ErrorCode::conflict || !can_be_bare) co_return recorded;
    const StatusChange bare{.status = change.status, .time = change.time};
    recorded = co_await writer_.record_status(backend, bare);
    co_return recorded;
}

void Unrecorded::stop() {
    stopping_ = true;
    try_again();
    changed_.notify_all();
}

Task<> Unrecorded::finish() {
    finishing_ = true;
    try_again();
    while (is_running_)
        co_await changed_.wait_until(never);
}

void Unrecorded::add(const BackendId& backend, const StatusChange& change) {
    queue_.emplace_back(backend, change);
    ++added_;
    work_.notify_all();
}

void Unrecorded::try_again() {
    is_blocked_ = false;
    work_.notify_all();
}

Task<Result<>> Unrecorded::catch_up() {
    const std::uint64_t all = added_;
    // One that is being tried may be at the end of its patience: the next one counts.
    const std::uint64_t last_failure = failures_ + (is_trying_ ? 1 : 0);
    while (done_ < all && failures_ <= last_failure && !finishing_) {
        try_again();
        co_await changed_.wait_until(never);
    }
    if (done_ >= all) co_return Result<>();
    if (failures_ > last_failure) co_return tl::unexpected(failure_);
    co_return fail(ErrorCode::shutting_down, "The daemon is shutting down.");
}

Task<bool> Unrecorded::recorded(Deadline limit) {
    const std::uint64_t all = added_;
    bool may_come = true;
    while (done_ < all && may_come && !(stopping_ && is_blocked_) && !finishing_)
        may_come = co_await changed_.wait_until(limit);
    co_return done_ >= all;
}

std::vector<StatusChange> Unrecorded::of(const BackendId& backend) const {
    std::vector<StatusChange> changes;
    for (const auto& [waiting, change] : queue_) {
        if (waiting == backend) changes.push_back(change);
    }
    return changes;
}

}  // namespace jamsock
