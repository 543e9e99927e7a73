// Keeps a backend from being idle for as long as this lives, also over a daemon that is started
// again. Doesn't wait, once it is open: its owner waits for `fd` and `next_try`, and calls `keep`.
#pragma once

#include <optional>

#include "cli/invocation.h"

namespace jamsock {

class BackendHold {
  public:
    // The backend is held when this returns. BackendNotRunning if it has ended.
    static Result<BackendHold> open(const BackendId& id, const Invocation& invocation,
                                    Deadline deadline);

    // Takes what the daemon says, and asks again for a hold that was lost with it.
    void keep();
    int fd() const { return stream_ ? stream_->fd() : -1; }
    Deadline next_try() const;

  private:
    BackendHold(const BackendId& id, const Invocation& invocation, StatusStream stream)
        : id_(id),
          invocation_{.terminal = invocation.terminal, .start = StartRule::never},
          stream_(std::move(stream)) {}

    bool is_open() const { return stream_ && stream_->is_open(); }
    void take_statuses();
    void ask_again();

    BackendId id_;
    Invocation invocation_;
    std::optional<StatusStream> stream_;
    Deadline next_try_;     // while it isn't open
    bool is_over_ = false;  // the backend; then there is nothing to keep
};

}  // namespace jamsock
