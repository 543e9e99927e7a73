#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/ending.h"
#include "cli/commands/selection.h"
#include "cli/option_values.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

// What `terminate`, `stop` (a soft one) and `kill` (a hard one) share.
struct TerminateOptions {
    SelectionOptions selection;
    const CLI::Option* grace_option = nullptr;  // `kill` has none
    std::string grace;
    bool hard = false;
    bool no_wait = false;
    bool quiet = false;
    OutputForm form = OutputForm::text;
};

Result<TerminateRequest> request_of(const TerminateOptions& options) {
    TerminateRequest request;
    if (options.hard) request.kind = TerminationKind::hard;
    if (!options.grace_option || options.grace_option->count() == 0) return request;
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

Result<int> run_terminate(const TerminateOptions& options, const Invocation& invocation) {
    auto request = request_of(options);
    if (!request) return pass_on(request);
    auto selection = parse_selection(options.selection);
    if (!selection) return pass_on(selection);
    auto ids = resolve(*selection, invocation, deadline_in(timeouts::client_answer));
    if (!ids) return pass_on(ids);
    return end_backends(*ids, *request,
                        {.wait = !options.no_wait, .quiet = options.quiet, .form = options.form},
                        invocation);
}

void add_grace_option(CLI::App& app, TerminateOptions& options) {
    options.grace_option =
        app.add_option("--grace", options.grace,
                       "Time between SIGTERM and SIGKILL; the service's if not given")
            ->type_name("SECONDS");
}

VerbRun prepare_ending(CLI::App& app, const std::shared_ptr<TerminateOptions>& options) {
    add_selection_options(app, options->selection);
    app.add_flag("--no-wait", options->no_wait, "Don't wait until every process is gone");
    add_output_options(app, options->form, {OutputForm::json, OutputForm::name});
    app.add_flag("-q,--quiet", options->quiet, "Print errors alone");
    app.footer(
        "Says how each ended, once its last process is gone and its key is free. --key may be\n"
        "repeated. What can't be ended stops no other; the exit code is the worst of all.\n");
    return [options](Invocation& invocation) { return run_terminate(*options, invocation); };
}

}  // namespace

VerbRun prepare_terminate(CLI::App& app) {
    auto options = std::make_shared<TerminateOptions>();
    app.add_flag("--hard", options->hard, "SIGKILL at once");
    add_grace_option(app, *options);
    return prepare_ending(app, options);
}

VerbRun prepare_stop(CLI::App& app) {
    auto options = std::make_shared<TerminateOptions>();
    add_grace_option(app, *options);
    return prepare_ending(app, options);
}

VerbRun prepare_kill(CLI::App& app) {
    auto options = std::make_shared<TerminateOptions>();
    options->hard = true;
    return prepare_ending(app, options);
}

}  // namespace jamsock
