#include "cli/commands/ending.h"

#include <algorithm>

#include "cli/backend_progress.h"
#include "cli/commands/selection.h"
#include "cli/render.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::chrono::seconds longest_ending = std::chrono::seconds(limit_range::grace.most) +
                                                timeouts::ending_margin + timeouts::client_margin;

}  // namespace

Result<> Ending::wait(const BackendId& id) const {
    auto ended = terminate(id, /*wait=*/true);
    if (ended || ended.error().code == ErrorCode::backend_not_running) return {};
    return ended;
}

Result<> Ending::terminate(const BackendId& id, bool wait) const {
    const Deadline deadline = ending_deadline();
    return invocation_.ask(
        deadline, Repeat::once, [&]() -> Result<> { return tl::unexpected(nothing_runs(id)); },
        [&](DaemonClient& client) {
            BackendProgress progress(invocation_.terminal, id);
            if (wait) progress.show_while_waiting(client);
            return client.terminate(id, request_, wait, deadline);
        });
}

Deadline ending_deadline() {
    return deadline_in(longest_ending);
}

std::string describe_end(const BackendId& id, OutputForm form, const Invocation& invocation) {
    if (form == OutputForm::name) return id.str() + '\n';
    const auto info = ask_for_backend(id, invocation, deadline_in(timeouts::client_answer));
    if (form == OutputForm::json) return info ? info->json + '\n' : "";
    return info ? render_end(info->value) : id.str() + " terminated\n";
}

int end_backends(const std::vector<Result<BackendId>>& ids, const TerminateRequest& request,
                 EndingStyle style, const Invocation& invocation) {
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
        const Result<> ended = style.wait ? ending.wait(id) : Result<>();
        if (!ended) report(ended.error());
        if (!ended || style.quiet) continue;
        const bool says_how = style.wait || style.form != OutputForm::text;
        terminal.out << (says_how ? describe_end(id, style.form, invocation)
                                  : id.str() + " terminating\n")
                     << std::flush;
    }
    return worst;
}

}  // namespace jamsock
