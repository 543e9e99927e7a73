#include <fmt/format.h>

#include <array>
#include <iostream>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/option_values.h"
#include "cli/output_form.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct RevokeOptions {
    SelectionOptions selection;
    const CLI::Option* user_given = nullptr;
    const CLI::Option* token_given = nullptr;
    std::string user;
    std::string token;
    bool close = false;
    OutputForm form = OutputForm::text;
};

// "-" is a line of standard input: a secret that stands in no list of processes.
std::string given_or_read(const std::string& text) {
    if (text != "-") return text;
    std::array<char, 4096> line{};
    std::cin.getline(line.data(), line.size());
    return line.data();
}

Result<RevokeRequest> request_of(const RevokeOptions& options) {
    const bool by_user = options.user_given->count() > 0;
    if (by_user == (options.token_given->count() > 0)) {
        return fail(ErrorCode::invalid_request, "Give --user or --token, and not both.");
    }
    if (by_user) {
        if (auto valid = require_utf8("The user", options.user); !valid) return pass_on(valid);
        return RevokeRequest{RevokeRequest::By::user, options.user, options.close};
    }
    auto token = parse_connection_token("--token", given_or_read(options.token));
    if (!token) return pass_on(token);
    return RevokeRequest{RevokeRequest::By::token, std::move(*token), options.close};
}

Result<int> run_revoke(const RevokeOptions& options, const Invocation& invocation) {
    auto request = request_of(options);
    if (!request) return pass_on(request);
    const Deadline deadline = deadline_in(timeouts::client_answer);
    const auto id = resolve_one(options.selection, invocation, "Tokens are revoked", deadline);
    if (!id) return tl::unexpected(id.error());
    auto answer = invocation.ask(
        deadline, Repeat::once,
        [&]() -> Result<ApiAnswer<RevokeResponse>> { return tl::unexpected(nothing_runs(*id)); },
        [&](DaemonClient& client) { return client.revoke(*id, *request, deadline); });
    if (!answer) return pass_on(answer);
    const std::size_t count = answer->value.revoked;
    invocation.terminal.out << (options.form == OutputForm::json
                                    ? answer->json + '\n'
                                    : fmt::format("{}: {} {} revoked\n", id->str(), count,
                                                  count == 1 ? "token" : "tokens"));
    return 0;
}

}  // namespace

VerbRun prepare_revoke(CLI::App& app) {
    auto options = std::make_shared<RevokeOptions>();
    add_selection_options(app, options->selection);
    options->user_given =
        app.add_option("-u,--user", options->user,
                       "All tokens of those who connected to the backend as this user")
            ->type_name("USER");
    options->token_given =
        app.add_option("-t,--token", options->token,
                       "One token, or the URL that has it; '-' reads it from standard input")
            ->type_name("TOKEN");
    app.add_flag("--close", options->close, "End the connections that use them, too");
    add_output_options(app, options->form, {OutputForm::json});
    app.footer(
        "Says how many tokens were good until now. A URL with a revoked token leads nowhere "
        "(410),\n"
        "on new connections and for the next request on an open one; what is under way goes on,\n"
        "unless --close is given. Later connects get new tokens, also for the same user.\n");
    return [options](Invocation& invocation) { return run_revoke(*options, invocation); };
}

}  // namespace jamsock
