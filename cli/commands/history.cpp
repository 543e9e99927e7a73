#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/key_history.h"
#include "cli/option_values.h"
#include "cli/output_form.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr long long most_entries = 1000;  // that the API gives at once

struct HistoryOptions {
    KeyOptions key;
    const CLI::Option* number_option = nullptr;
    std::string number;
    OutputForm form = OutputForm::text;
};

Result<std::size_t> parse_number_of_entries(const HistoryOptions& options) {
    if (options.number_option->count() == 0) return most_entries;
    const auto number = parse_count("--number", options.number, 1, most_entries);
    if (!number) return tl::unexpected(number.error());
    return static_cast<std::size_t>(*number);
}

void print_history(const KeyHistory& history, Terminal& terminal) {
    const std::int64_t now = wall_milliseconds();
    terminal.out << (terminal.out_is_terminal ? render_history_table(history, now)
                                              : render_history_rows(history, now));
}

Result<int> run_history(const HistoryOptions& options, const Invocation& invocation) {
    const auto wanted = parse_key_options(options.key);
    if (!wanted) return tl::unexpected(wanted.error());
    const auto most = parse_number_of_entries(options);
    if (!most) return tl::unexpected(most.error());
    const auto answer =
        ask_for_history(*wanted, *most, invocation, deadline_in(timeouts::client_answer));
    if (!answer) return tl::unexpected(answer.error());
    Terminal& terminal = invocation.terminal;
    if (options.form == OutputForm::json) {
        terminal.out << answer->json << '\n';
    } else if (options.form == OutputForm::name) {
        for (const HistoryEntry& entry : answer->value.backends)
            terminal.out << entry.id.str() << '\n';
    } else {
        print_history(answer->value, terminal);
    }
    return 0;
}

}  // namespace

VerbRun prepare_history(CLI::App& app) {
    auto options = std::make_shared<HistoryOptions>();
    add_key_options(app, options->key, "KEY", "The key");
    options->number_option =
        app.add_option("-n,--number", options->number, "Only so many, the newest")
            ->type_name("NUMBER");
    add_output_options(app, options->form, {OutputForm::json, OutputForm::name});
    app.add_flag_callback(
        "-q,--quiet", [options] { options->form = OutputForm::name; },
        "The ids alone: the same as -o name");
    app.footer(
        "The newest first. On a terminal a table; in a pipe one line for each backend, without\n"
        "header, the same columns between tabs, times in seconds. Exits 4 if no backend of the\n"
        "key is remembered.\n");
    return [options](Invocation& invocation) { return run_history(*options, invocation); };
}

}  // namespace jamsock
