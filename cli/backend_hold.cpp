#include "cli/backend_hold.h"

#include <fmt/format.h>

#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::chrono::milliseconds try_pause{100};
constexpr std::chrono::hours never_again{24};

}  // namespace

Result<BackendHold> BackendHold::open(const BackendId& id, const Invocation& invocation,
                                      Deadline deadline) {
    while (std::chrono::steady_clock::now() < deadline) {
        auto stream =
            invocation.ask(deadline, Repeat::once, &no_daemon<StatusStream>,
                           [&](DaemonClient& client) { return client.hold(id, deadline); });
        if (!stream) return pass_on(stream);
        if (!stream->take(deadline).empty()) return BackendHold(id, invocation, std::move(*stream));
        if (stream->refusal()) return tl::unexpected(*stream->refusal());
    }
    return fail(ErrorCode::daemon_unavailable, "The daemon didn't answer in time.",
                "jamsock daemon logs");
}

void BackendHold::keep() {
    take_statuses();
    if (!is_over_ && !is_open() && std::chrono::steady_clock::now() >= next_try_) ask_again();
}

Deadline BackendHold::next_try() const {
    return is_over_ || is_open() ? deadline_in(never_again) : next_try_;
}

void BackendHold::take_statuses() {
    if (!is_open()) return;
    for (const StatusChange& change : stream_->take(std::chrono::steady_clock::now()))
        is_over_ = is_over_ || change.status == Status::terminated;
    const auto& refusal = stream_->refusal();
    is_over_ = is_over_ || (refusal && (refusal->code == ErrorCode::backend_not_running ||
                                        refusal->code == ErrorCode::backend_not_found));
}

// A daemon that isn't there lets no backend end; it is asked when it is there again.
void BackendHold::ask_again() {
    next_try_ = deadline_in(try_pause);
    auto daemon = invocation_.reach(next_try_);
    if (!daemon || !daemon->client) return;
    auto stream = daemon->client->hold(id_, next_try_);
    if (stream) stream_ = std::move(*stream);
}

}  // namespace jamsock
