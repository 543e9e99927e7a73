#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "cli/backend_hold.h"
#include "cli/child_process.h"
#include "cli/commands/commands.h"
#include "cli/commands/connect.h"
#include "cli/commands/ending.h"
#include "cli/commands/selection.h"
#include "cli/program_path.h"
#include "common/environment.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::chrono::milliseconds end_look_pause{50};

struct ExecOptions {
    ConnectOptions connect;
    bool stop_after = false;
};

struct ExecCommand {
    std::string program;
    std::vector<std::string> words;
};

// Before anything is started for it.
Result<ExecCommand> command_of(Invocation& invocation) {
    auto words = std::exchange(invocation.program, std::nullopt);
    if (!words || words->empty()) {
        return fail(ErrorCode::invalid_request, "After '--' must come a command to run.");
    }
    auto program = find_program(words->front(), ".", program_search_path());
    if (!program) return pass_on(program);
    return ExecCommand{std::move(*program), std::move(*words)};
}

// Until the child has ended; what comes meanwhile is passed on.
int wait_for(const ChildProcess& child, CaughtSignals& signals, BackendHold& hold) {
    for (;;) {
        wait_for_any({signals.fd(), child.fd(), hold.fd()},
                     std::min(hold.next_try(), child.next_look()));
        child.pass_on(signals);
        if (const auto exit_code = child.exit_code()) return *exit_code;
        hold.keep();
    }
}

bool has_ended(const BackendId& id, const Invocation& invocation) {
    const auto info = ask_for_backend(id, invocation, deadline_in(timeouts::client_answer));
    if (!info) return info.error().code == ErrorCode::backend_not_found;
    const auto& statuses = info->value.statuses;
    return !statuses.empty() && statuses.back().status == Status::terminated;
}

// Who tells this program to end ends the wait, not the ending.
void wait_for_end(const BackendId& id, const Invocation& invocation, CaughtSignals& signals) {
    const Deadline deadline = ending_deadline();
    while (!signals.ask_for_end() && std::chrono::steady_clock::now() < deadline) {
        if (has_ended(id, invocation)) return;
        wait_for_any({signals.fd()}, deadline_in(end_look_pause));
    }
}

// Whatever comes of it, the exit code is the command's.
void stop(const BackendId& id, const Invocation& invocation, CaughtSignals& signals) {
    const TerminateRequest softly;
    const auto begun = Ending(softly, invocation).begin(id);
    const bool is_ending = begun || begun.error().code == ErrorCode::backend_not_running;
    if (is_ending) return wait_for_end(id, invocation, signals);
    invocation.terminal.report(begun.error());
}

Result<int> run_exec(const ExecOptions& options, Invocation& invocation) {
    auto command = command_of(invocation);
    if (!command) return pass_on(command);
    const auto connected = connect_backend(options.connect, invocation);
    if (!connected) return tl::unexpected(connected.error());
    const BackendId& id = connected->answer.value.backend_id;
    auto hold = BackendHold::open(id, invocation, deadline_in(timeouts::client_answer));
    if (!hold) return pass_on(hold);

    CaughtSignals signals;
    const auto child =
        ChildProcess::start(command->program, std::move(command->words),
                            environment_with(connection_variables(*connected)), signals);
    Result<int> exit_code = child ? Result<int>(wait_for(*child, signals, *hold))
                                  : Result<int>(tl::unexpected(child.error()));
    if (options.stop_after) stop(id, invocation, signals);
    return exit_code;
}

}  // namespace

VerbRun prepare_exec(CLI::App& app) {
    auto options = std::make_shared<ExecOptions>();
    add_lookup_options(app, options->connect);
    add_spawn_options(app, options->connect);
    app.add_flag("--stop-after", options->stop_after,
                 "End the backend when the command has, and wait until it is gone");
    app.add_flag("-q,--quiet", options->connect.quiet, "Show no progress on a terminal");
    app.footer(
        "The command gets JAMSOCK_URL, JAMSOCK_BACKEND_ID, JAMSOCK_KEY and JAMSOCK_SECRET_TOKEN.\n"
        "Its backend isn't idle meanwhile. Signals are passed on to it. Exits with its code, or\n"
        "128 and the number of the signal that ended it; with 127 if it isn't found, 126 if it\n"
        "can't be run, 125 if something else fails before that.\n");
    return [options](Invocation& invocation) { return run_exec(*options, invocation); };
}

}  // namespace jamsock
