#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/output_form.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct StatusOptions {
    SelectionOptions selection;
    OutputForm form = OutputForm::text;
};

Result<int> run_status(const StatusOptions& options, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    const auto id = resolve_one(options.selection, invocation, "The status is shown", deadline);
    if (!id) return tl::unexpected(id.error());
    auto answer = ask_for_backend(*id, invocation, deadline);
    if (!answer) return pass_on(answer);
    Terminal& terminal = invocation.terminal;
    if (options.form == OutputForm::json) {
        terminal.out << answer->json << '\n';
    } else if (options.form == OutputForm::name) {
        terminal.out << id->str() << '\n';
    } else {
        terminal.out << render_backend(answer->value, wall_milliseconds());
    }
    return 0;
}

}  // namespace

VerbRun prepare_status(CLI::App& app) {
    auto options = std::make_shared<StatusOptions>();
    add_selection_options(app, options->selection);
    add_output_options(app, options->form, {OutputForm::json, OutputForm::name});
    app.footer("Exits 3 if no backend holds the key, 4 if there never was such an id.\n");
    return [options](Invocation& invocation) { return run_status(*options, invocation); };
}

}  // namespace jamsock
