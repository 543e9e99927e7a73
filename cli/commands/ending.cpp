#include "cli/commands/ending.h"

#include <algorithm>

#include "cli/commands/selection.h"
#include "cli/render.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

// The daemon knows each backend's own grace, and answers soon after it; this only ends in the end.
constexpr std::chrono::seconds longest_ending = std::chrono::seconds(limit_range::grace.most) +
                                                timeouts::ending_margin + timeouts::client_margin;

class Ending {
  public:
    Ending(const TerminateRequest& request, const Invocation& invocation)
        : request_(request), invocation_(invocation) {}

    Result<> begin(const BackendId& id) const { return terminate(id, /*wait=*/false); }

    // After `begin`. A backend that isn't running any more has ended as was wished.
    Result<> wait(const BackendId& id) const {
        auto ended = terminate(id, /*wait=*/true);
        if (ended || ended.error().code == ErrorCode::backend_not_running) return {};
        return ended;
    }

    // How it ended; without the history that tells, only that it did.
    std::string describe(const BackendId& id) const {
        const auto info = ask_for_backend(id, invocation_, deadline_in(timeouts::client_answer));
        return info ? render_end(info->value) : id.str() + " terminated\n";
    }

  private:
    Result<> terminate(const BackendId& id, bool wait) const {
        const Deadline deadline = deadline_in(longest_ending);
        return invocation_.ask(
            deadline, Repeat::once, [&]() -> Result<> { return tl::unexpected(nothing_runs(id)); },
            [&](DaemonClient& client) { return client.terminate(id, request_, wait, deadline); });
    }

    const TerminateRequest& request_;
    const Invocation& invocation_;
};

}  // namespace

int end_backends(const std::vector<Result<BackendId>>& ids, const TerminateRequest& request,
                 bool wait, const Invocation& invocation) {
    const Ending ending(request, invocation);
    Terminal& terminal = invocation.terminal;
    int worst = 0;
    const auto report = [&](const Error& error) {
        worst = std::max(worst, info(error.code).exit_code);
        terminal.report(error);
    };
    std::vector<BackendId> begun;
    for (const Result<BackendId>& id : ids) {
        const Result<> told = id ? ending.begin(*id) : tl::unexpected(id.error());
        if (told) begun.push_back(*id);
        if (!told) report(told.error());
    }
    for (const BackendId& id : begun) {
        const Result<> ended = wait ? ending.wait(id) : Result<>();
        if (!ended) {
            report(ended.error());
        } else {
            terminal.out << (wait ? ending.describe(id) : id.str() + " terminating\n")
                         << std::flush;
        }
    }
    return worst;
}

}  // namespace jamsock
