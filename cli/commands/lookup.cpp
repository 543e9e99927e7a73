#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/connect.h"

namespace jamsock {

VerbRun prepare_lookup(CLI::App& app) {
    auto options = std::make_shared<ConnectOptions>();
    add_lookup_options(app, *options);
    add_answer_options(app, *options);
    app.add_flag_callback(
        "--no-spawn", [] {}, "What a look-up means; accepted so that scripts can say it");
    options->no_spawn = true;
    app.footer(
        "Prints the URL; exits 3 if no backend holds the key. Waits for nothing: a URL of a\n"
        "backend that is still starting holds its first request until it is ready.\n");
    return [options](Invocation& invocation) { return run_connect(*options, invocation); };
}

}  // namespace jamsock
