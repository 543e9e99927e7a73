#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "cli/backend_output.h"
#include "cli/backend_progress.h"
#include "cli/choice_option.h"
#include "cli/commands/commands.h"
#include "cli/commands/ending.h"
#include "cli/commands/selection.h"
#include "cli/option_values.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;

constexpr auto next_look_pause = 100ms;  // where no stream tells of a change
constexpr auto shortest_look = 1s;       // for the daemon's answer, also when the time is up

enum class Wish { ready, terminated, idle };

struct WaitOptions {
    SelectionOptions selection;
    Wish wish = Wish::ready;
    const CLI::Option* timeout_option = nullptr;
    std::string timeout;
    bool quiet = false;
    OutputForm form = OutputForm::text;
};

enum class Progress {
    pending,
    reached,
    out_of_reach,  // the backend has ended
};

Progress progress_of(Wish wish, Status status, std::uint32_t connections) {
    const bool is_over = status == Status::terminated;
    const bool is_reached = wish == Wish::terminated ? is_over
                            : wish == Wish::ready    ? status == Status::ready
                                                     : is_live(status) && connections == 0;
    if (is_reached) return Progress::reached;
    return is_over ? Progress::out_of_reach : Progress::pending;
}

std::string_view word_of(Wish wish) {
    switch (wish) {
        case Wish::ready:
            return "ready";
        case Wish::terminated:
            return "terminated";
        case Wish::idle:
            return "idle";
    }
    return "";
}

// One of whom a damaged database tells nothing has ended: those that live are known without it.
StatusChange last_status(const BackendInfo& backend) {
    if (backend.statuses.empty()) return {.status = Status::terminated};
    return backend.statuses.back();
}

Error out_of_reach(const BackendInfo& backend) {
    const std::string& id = backend.id.str();
    const StatusChange last = last_status(backend);
    const bool was_ready = std::ranges::find(backend.statuses, Status::ready,
                                             &StatusChange::status) != backend.statuses.end();
    const std::string how = last.reason == TerminationReason::startuptimeout
                                ? "took too long and was ended"
                            : last.exit ? describe(*last.exit)
                                        : "ended";
    const std::string hint = fmt::format("jamsock status {}", id);
    if (was_ready) {
        return {ErrorCode::backend_not_running,
                fmt::format("The backend {} runs no more: it {}.", id, how),
                hint,
                {}};
    }
    return {ErrorCode::backend_ended_before_ready,
            fmt::format("The backend {} {} before it was ready.", id, how), hint,
            last_lines(backend.id, told_lines)};
}

// One way to wait for one backend after the other. One that was ready while another had its turn
// and has ended since counts as ended.
class Waiting {
  public:
    Waiting(Wish wish, std::optional<std::chrono::duration<double>> limit,
            const Invocation& invocation)
        : wish_(wish),
          limit_(limit),
          deadline_(limit ? deadline_in(*limit) : Deadline::max()),
          invocation_(invocation) {}

    Deadline look_by() const {
        return std::clamp(deadline_, deadline_in(shortest_look),
                          deadline_in(timeouts::client_answer));
    }

    Result<> wait_for(const BackendId& id) const {
        BackendProgress line(invocation_.terminal, id);
        for (;;) {
            const auto info = ask_for_backend(id, invocation_, look_by());
            if (!info) return tl::unexpected(is_late() ? late(id) : info.error());
            const BackendInfo& backend = info->value;
            const Status status = last_status(backend).status;
            Progress progress = progress_of(wish_, status, backend.connections);
            if (progress == Progress::out_of_reach) return tl::unexpected(out_of_reach(backend));
            if (progress == Progress::pending && is_late()) return tl::unexpected(late(id));
            if (progress == Progress::pending) progress = follow(id, status, line);
            if (progress == Progress::reached) return {};
        }
    }

  private:
    bool is_late() const { return std::chrono::steady_clock::now() >= deadline_; }

    Error late(const BackendId& id) const {
        return {ErrorCode::timed_out,
                fmt::format("The backend {} wasn't {} within {:.3g} s.", id.str(), word_of(wish_),
                            limit_.value_or(0s).count()),
                fmt::format("jamsock status {}", id.str()),
                {}};
    }

    // Until a status that comes after `last` decides, or it is time to look again.
    Progress follow(const BackendId& id, Status last, BackendProgress& line) const {
        Progress progress = Progress::pending;
        if (wish_ != Wish::idle) progress = follow_stream(id, last, line);
        line.look();
        if (progress == Progress::pending && !is_late())
            std::this_thread::sleep_for(next_look_pause);
        return progress;
    }

    Progress follow_stream(const BackendId& id, Status last, BackendProgress& line) const {
        const Deadline next_look = std::min(deadline_, deadline_in(timeouts::client_answer));
        auto stream =
            invocation_.ask(look_by(), Repeat::once, &no_daemon<StatusStream>,
                            [&](DaemonClient& client) { return client.statuses(id, look_by()); });
        while (stream && stream->is_open() && std::chrono::steady_clock::now() < next_look) {
            line.look();
            const Deadline redraw = line.is_shown() ? deadline_in(next_look_pause) : next_look;
            for (const StatusChange& change : stream->take(std::min(next_look, redraw))) {
                if (change.status <= last) continue;
                const Progress progress = progress_of(wish_, change.status, 0);
                if (progress != Progress::pending) return progress;
            }
        }
        return Progress::pending;
    }

    Wish wish_;
    std::optional<std::chrono::duration<double>> limit_;
    Deadline deadline_;
    const Invocation& invocation_;
};

bool is_unheld(const Result<BackendId>& id) {
    return !id && id.error().code == ErrorCode::key_unheld_no_spawn_config;
}

std::string line_of(const BackendId& id, const WaitOptions& options, const Invocation& invocation) {
    const bool tells_all = options.wish == Wish::terminated || options.form != OutputForm::text;
    if (tells_all) return describe_end(id, options.form, invocation);
    return fmt::format("{} {}\n", id.str(), word_of(options.wish));
}

Result<int> run_wait(const WaitOptions& options, const Invocation& invocation) {
    std::optional<std::chrono::duration<double>> limit;
    if (options.timeout_option->count() > 0) {
        auto seconds = parse_seconds("--timeout", options.timeout);
        if (!seconds) return pass_on(seconds);
        limit = *seconds;
    }
    const auto selection = parse_selection(options.selection);
    if (!selection) return tl::unexpected(selection.error());
    const Waiting waiting(options.wish, limit, invocation);
    auto ids = resolve(*selection, invocation, waiting.look_by());
    if (!ids) return pass_on(ids);
    if (options.wish == Wish::terminated) std::erase_if(*ids, is_unheld);

    Terminal& terminal = invocation.terminal;
    int worst = 0;
    for (const Result<BackendId>& id : *ids) {
        const Result<> reached = id ? waiting.wait_for(*id) : tl::unexpected(id.error());
        if (!reached) {
            worst = std::max(worst, info(reached.error().code).exit_code);
            terminal.report(reached.error());
        } else if (!options.quiet) {
            terminal.out << line_of(*id, options, invocation) << std::flush;
        }
    }
    return worst;
}

}  // namespace

VerbRun prepare_wait(CLI::App& app) {
    auto options = std::make_shared<WaitOptions>();
    add_selection_options(app, options->selection);
    add_choice_option<Wish>(
        app, "--for", "What to wait for; ready if not given",
        {{"ready", Wish::ready}, {"terminated", Wish::terminated}, {"idle", Wish::idle}},
        [options](Wish wish) { options->wish = wish; });
    options->timeout_option =
        app.add_option("--timeout", options->timeout, "Give up after so long; exit code 124")
            ->type_name("SECONDS");
    add_output_options(app, options->form, {OutputForm::json, OutputForm::name});
    app.add_flag("-q,--quiet", options->quiet, "Print errors alone");
    app.footer(
        "Terminated: the last process is gone, and the key is free; so is one that nobody holds.\n"
        "Idle: no request in flight, no open tunnel and no hold. Exits 5 if a backend ends before\n"
        "it is ready, 3 if it had ended or nobody holds the key, else with the worst of all.\n");
    return [options](Invocation& invocation) { return run_wait(*options, invocation); };
}

}  // namespace jamsock
