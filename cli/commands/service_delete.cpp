#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/option_values.h"
#include "common/service_types.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct DeleteOptions {
    std::string name;
    bool force = false;
};

// Ending the backends takes as long as their own grace times.
Deadline deadline_of(const DeleteOptions& options) {
    if (!options.force) return deadline_in(timeouts::client_answer);
    return deadline_in(std::chrono::seconds(limit_range::grace.most) + timeouts::client_margin);
}

Result<int> run_delete(const DeleteOptions& options, const Invocation& invocation) {
    const auto name = parse_service(options.name);
    if (!name) return tl::unexpected(name.error());
    const ServiceDeleteRequest request{options.force};
    const Deadline deadline = deadline_of(options);
    auto deleted = invocation.ask(deadline, Repeat::never, no_daemon<>, [&](DaemonClient& client) {
        return client.delete_service(*name, request, deadline);
    });
    if (!deleted) return pass_on(deleted);
    return 0;
}

}  // namespace

VerbRun prepare_service_delete(CLI::App& app) {
    auto options = std::make_shared<DeleteOptions>();
    app.add_option("SERVICE", options->name, "The service, or SERVICE/ENVIRONMENT")->type_name("");
    app.add_flag("--force", options->force, "End its running backends first, and wait for that");
    app.footer(
        "Without --force, exits 6 while backends of it run. A service goes with its environments;\n"
        "the default service goes back to what it was at first.\n");
    return [options](Invocation& invocation) { return run_delete(*options, invocation); };
}

}  // namespace jamsock
