// The statuses of backends on their way to the store, in order, so that no key is freed before it
// was held. What the store can't take (a full disk, a locked file) stays first, and is tried again;
// what contradicts the database, and so never can be, is given up. Control thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "common/backend_state.h"
#include "daemon/asio.h"
#include "daemon/store/store_writer.h"

namespace jamsock {

class Unrecorded {
  public:
    // `on_recorded` is told of each. `writer` must outlive this.
    Unrecorded(StoreWriter& writer, std::function<void()> on_recorded)
        : writer_(writer), on_recorded_(std::move(on_recorded)) {}

    // Records what is added, until `finish`. To be run once.
    Task<> keep_recording();
    // The daemon is stopping: nobody waits any more for what can't be recorded.
    void stop();
    // Records what is left, if that can be, and ends the recording.
    Task<> finish();

    void add(const BackendId& backend, const StatusChange& change);
    void try_again();
    bool is_blocked() const { return is_blocked_; }  // the first was tried in vain

    // Until all that was added before is recorded. Fails as soon as that can't be.
    Task<Result<>> catch_up();
    // The same, however long it takes. False: it was not until `limit`, or can't be at the stop.
    Task<bool> recorded(Deadline limit);

    // Of one backend. The first may be in the store by now.
    std::vector<StatusChange> of(const BackendId& backend) const;

  private:
    Task<Result<>> record(const BackendId& backend, const StatusChange& change);

    StoreWriter& writer_;
    std::function<void()> on_recorded_;
    std::deque<std::pair<BackendId, StatusChange>> queue_;
    std::uint64_t added_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t failures_ = 0;
    Error failure_;
    bool is_blocked_ = false;
    bool is_trying_ = false;
    bool is_running_ = false;
    bool stopping_ = false;
    bool finishing_ = false;
    Event work_;
    Event changed_;
};

}  // namespace jamsock
