#include <CLI/CLI.hpp>
#include <memory>

#include "cli/backend_output.h"
#include "cli/commands/commands.h"
#include "cli/commands/key_history.h"
#include "cli/commands/selection.h"
#include "cli/output_form.h"
#include "cli/post_mortem.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct WhyOptions {
    KeyOptions key;
    OutputForm form = OutputForm::text;
};

// Nothing for a word that must be a key, as no backend has it for its id.
Result<std::optional<BackendInfo>> find_by_id(const KeyOptions& options,
                                              const Invocation& invocation, Deadline deadline) {
    const bool is_key = options.key_option->count() > 0 || !options.service.empty();
    const auto id = BackendId::parse(options.word);
    if (is_key || !id) return std::nullopt;
    auto answer = ask_for_backend(*id, invocation, deadline);
    if (answer) return std::move(answer->value);
    if (answer.error().code == ErrorCode::backend_not_found) return std::nullopt;
    return pass_on(answer);
}

// Of a key: its holder, or else the last that was. The newest one is the holder, if there is one.
Result<BackendInfo> find_backend(const KeyOptions& options, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    const auto wanted = parse_key_options(options);
    if (!wanted) return tl::unexpected(wanted.error());
    auto by_id = find_by_id(options, invocation, deadline);
    if (!by_id) return pass_on(by_id);
    if (*by_id) return **std::move(by_id);
    const auto history = ask_for_history(*wanted, 1, invocation, deadline);
    if (!history) return tl::unexpected(history.error());
    auto answer = ask_for_backend(history->value.backends.front().id, invocation, deadline);
    if (!answer) return pass_on(answer);
    return std::move(answer->value);
}

Result<int> run_why(const WhyOptions& options, const Invocation& invocation) {
    auto backend = find_backend(options.key, invocation);
    if (!backend) return pass_on(backend);
    auto tail = last_lines(backend->id, told_lines);
    const std::int64_t now = wall_milliseconds();
    const PostMortem told = post_mortem(*std::move(backend), std::move(tail), now);
    Terminal& terminal = invocation.terminal;
    if (options.form == OutputForm::json) {
        terminal.out << told.to_json() << '\n';
    } else {
        terminal.out << render_post_mortem(told, now, terminal.columns());
    }
    return 0;
}

}  // namespace

VerbRun prepare_why(CLI::App& app) {
    auto options = std::make_shared<WhyOptions>();
    add_key_options(app, options->key, "KEY", "A backend's id, or else a key");
    add_output_options(app, options->form, {OutputForm::json});
    app.footer(
        "Of a key it tells of the backend that holds it, or else of the last one that did: who\n"
        "ended it and how, how long it lived, what is known of the cause, its last lines of\n"
        "output, and what to do next. Exits 4 if there never was such a backend or key.\n");
    return [options](Invocation& invocation) { return run_why(*options, invocation); };
}

}  // namespace jamsock
