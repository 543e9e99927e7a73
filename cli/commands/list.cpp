#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using KeyAnswer = Result<ApiAnswer<KeyList>>;

void print_keys(const KeyList& list, Terminal& terminal) {
    const std::int64_t now = wall_milliseconds();
    if (!terminal.out_is_terminal) {
        terminal.out << render_key_rows(list, now);
    } else if (list.keys.empty()) {
        terminal.err << "No backends.\n";
    } else {
        terminal.out << render_key_table(list, now);
    }
}

Result<int> run_list(bool json, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto answer = invocation.ask(
        deadline, Repeat::once,
        []() -> KeyAnswer {
            return ApiAnswer<KeyList>{{}, KeyList{}.to_json()};
        },
        [deadline](DaemonClient& client) { return client.keys(deadline); });
    if (!answer) return pass_on(answer);
    if (json) {
        invocation.terminal.out << answer->json << '\n';
    } else {
        print_keys(answer->value, invocation.terminal);
    }
    return 0;
}

}  // namespace

VerbRun prepare_list(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    app.add_flag("--json", *json, "Print the API's answer");
    app.footer(
        "On a terminal a table; in a pipe one line for each backend, without header, the\n"
        "same columns between tabs, times in seconds. A backend without a key has '-'.\n"
        "What could disturb a line or a terminal is written as an escape; --json is exact.\n");
    return [json](Invocation& invocation) { return run_list(*json, invocation); };
}

}  // namespace jamsock
