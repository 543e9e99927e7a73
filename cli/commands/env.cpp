#include <fmt/format.h>

#include <array>
#include <memory>
#include <utility>

#include "cli/choice_option.h"
#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/option_values.h"
#include "cli/output_form.h"
#include "common/api_token.h"
#include "common/api_types.h"
#include "common/environment.h"
#include "common/runtime_paths.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct EnvOptions {
    std::string service = "default";
    bool for_fish = shell_is_fish();
    bool unset = false;
    OutputForm form = OutputForm::text;
};

struct Values {
    std::string address;
    std::string port;
    std::string account;
    std::string token;
    std::string service;
};

// What Jamsocket's command line and SDKs read.
constexpr std::array table{
    std::pair{"JAMSOCKET_SERVER_API", &Values::address},
    std::pair{"JAMSOCKET_API_URL", &Values::address},
    std::pair{"JAMSOCKET_ACCOUNT", &Values::account},
    std::pair{"JAMSOCKET_TOKEN", &Values::token},
    std::pair{"JAMSOCKET_SERVICE", &Values::service},
    std::pair{"JAMSOCKET_DEV_PORT", &Values::port},
};

// The service may be of an environment: the SDKs put it into the path of their calls, "editor/beta"
// as it is.
Result<EnvironmentMap> variables(const ServiceName& service, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto version = invocation.ask(deadline, Repeat::once, no_daemon<ApiAnswer<VersionInfo>>,
                                  [&](DaemonClient& client) { return client.version(deadline); });
    if (!version) return pass_on(version);
    auto directory = state_directory_path();
    if (!directory) return pass_on(directory);
    const auto opened = open_existing_state_directory(*directory);
    const std::string token = opened && *opened ? read_api_token(opened->get()) : "";
    if (token.empty()) {
        return fail(ErrorCode::daemon_unavailable, "The daemon has no token for its API over TCP.",
                    "jamsock daemon logs");
    }
    const std::string port = std::to_string(version->value.api_port);
    const Values values{.address = "http://127.0.0.1:" + port,
                        .port = port,
                        .account = service.account(),
                        .token = token,
                        .service = service.str()};
    EnvironmentMap set;
    for (const auto& [name, value] : table)
        set[name] = values.*value;
    return set;
}

std::string lines_that_unset(bool for_fish) {
    std::string lines;
    for (const auto& [name, value] : table)
        lines += fmt::format("{} {}\n", for_fish ? "set -e" : "unset", name);
    return lines;
}

Result<int> run_env(const EnvOptions& options, const Invocation& invocation) {
    const bool as_json = options.form == OutputForm::json;
    if (options.unset && as_json) {
        return fail(ErrorCode::invalid_request,
                    "What takes the variables back are lines for a shell; JSON has none.",
                    "jamsock env --unset");
    }
    if (options.unset) {
        invocation.terminal.out << lines_that_unset(options.for_fish);
        return 0;
    }
    const auto service = ServiceName::parse(options.service);
    if (!service) return tl::unexpected(service.error());
    const auto set = variables(*service, invocation);
    if (!set) return tl::unexpected(set.error());
    invocation.terminal.out << (as_json ? environment_json(*set) + '\n'
                                        : shell_assignments(*set, options.for_fish));
    return 0;
}

}  // namespace

VerbRun prepare_env(CLI::App& app) {
    auto options = std::make_shared<EnvOptions>();
    app.add_option("SERVICE", options->service, "The service that programs connect to")
        ->type_name("")
        ->default_str("default");
    add_choice_option<bool>(app, "--shell", "Lines for this shell and not for $SHELL",
                            {{"sh", false}, {"fish", true}},
                            [options](bool fish) { options->for_fish = fish; });
    app.add_flag("--unset", options->unset, "Print the lines that take the variables back");
    add_output_options(app, options->form, {OutputForm::json});
    app.footer(
        "The lines hold the token of this daemon's API: who has it may start and end backends.\n"
        "In fish: jamsock env | source\n");
    return [options](Invocation& invocation) { return run_env(*options, invocation); };
}

}  // namespace jamsock
