#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/option_values.h"
#include "cli/render.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct TerminateOptions {
    SelectionOptions selection;
    const CLI::Option* grace_option = nullptr;
    std::string grace;
    bool hard = false;
    bool no_wait = false;
};

Result<TerminateRequest> request_of(const TerminateOptions& options) {
    TerminateRequest request;
    if (options.hard) request.kind = TerminationKind::hard;
    if (options.grace_option->count() == 0) return request;
    if (options.hard) {
        return fail(ErrorCode::invalid_request,
                    "--hard gives no grace time, so --grace can't be set.");
    }
    auto grace =
        parse_count("--grace", options.grace, limit_range::grace.least, limit_range::grace.most);
    if (!grace) return pass_on(grace);
    request.grace_seconds = *grace;
    return request;
}

std::chrono::seconds limit_of(const TerminateRequest& request) {
    const std::chrono::seconds grace(request.grace_seconds.value_or(
        request.kind == TerminationKind::hard ? 0 : timeouts::grace.count()));
    return grace + timeouts::ending_margin + timeouts::client_margin;
}

// One call of `terminate`, with the waits and errors of all its backends in common.
class Ending {
  public:
    Ending(const TerminateRequest& request, const Invocation& invocation)
        : request_(request),
          invocation_(invocation),
          limit_(limit_of(request)),
          deadline_(deadline_in(limit_)) {}

    Deadline deadline() const { return deadline_; }

    Result<> begin(const BackendId& id) const { return terminate(id, /*wait=*/false); }

    // After `begin`. A backend that isn't running any more has ended as was wished.
    Result<> wait(const BackendId& id) const {
        auto ended = terminate(id, /*wait=*/true);
        if (ended || ended.error().code == ErrorCode::backend_not_running) return {};
        if (std::chrono::steady_clock::now() < deadline_) return ended;
        return fail(ErrorCode::timed_out,
                    fmt::format("The backend {} is still ending after {} s.", in_quotes(id.str()),
                                limit_.count()),
                    "jamsock status " + id.str());
    }

    // How it ended; without the history that tells, only that it did.
    std::string describe(const BackendId& id) const {
        auto info = invocation_.ask(
            deadline_in(timeouts::client_answer), Repeat::once,
            [&]() -> Result<ApiAnswer<BackendInfo>> { return tl::unexpected(nothing_runs(id)); },
            [&](DaemonClient& client) {
                return client.backend(id, deadline_in(timeouts::client_answer));
            });
        return info ? render_end(info->value) : fmt::format("{} terminated\n", id.str());
    }

  private:
    Result<> terminate(const BackendId& id, bool wait) const {
        return invocation_.ask(
            deadline_, Repeat::once, [&]() -> Result<> { return tl::unexpected(nothing_runs(id)); },
            [&](DaemonClient& client) { return client.terminate(id, request_, wait, deadline_); });
    }

    const TerminateRequest& request_;
    const Invocation& invocation_;
    std::chrono::seconds limit_;
    Deadline deadline_;
};

// All are told to end first and waited for then: many take no longer than one. Each has an outcome
// of its own, so errors are printed here; the worst exit code counts.
int end_all(const std::vector<BackendId>& ids, const Ending& ending, bool wait,
            Terminal& terminal) {
    int worst = 0;
    const auto report = [&](const Error& error) {
        worst = std::max(worst, info(error.code).exit_code);
        terminal.report(error);
    };
    std::vector<BackendId> begun;
    for (const BackendId& id : ids) {
        const auto told = ending.begin(id);
        if (told) begun.push_back(id);
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

Result<int> run_terminate(const TerminateOptions& options, const Invocation& invocation) {
    auto request = request_of(options);
    if (!request) return pass_on(request);
    auto selection = parse_selection(options.selection);
    if (!selection) return pass_on(selection);
    const Ending ending(*request, invocation);
    auto ids = resolve(*selection, invocation, ending.deadline());
    if (!ids) return pass_on(ids);
    return end_all(*ids, ending, !options.no_wait, invocation.terminal);
}

}  // namespace

VerbRun prepare_terminate(CLI::App& app) {
    auto options = std::make_shared<TerminateOptions>();
    add_selection_options(app, options->selection, "ID");
    app.add_flag("--hard", options->hard, "SIGKILL at once");
    options->grace_option = app.add_option("--grace", options->grace,
                                           "Time between SIGTERM and SIGKILL; 10 if not given")
                                ->type_name("SECONDS");
    app.add_flag("--no-wait", options->no_wait, "Don't wait until every process is gone");
    app.footer("Says how each ended, once its last process is gone and its key is free.\n");
    return [options](Invocation& invocation) { return run_terminate(*options, invocation); };
}

}  // namespace jamsock
