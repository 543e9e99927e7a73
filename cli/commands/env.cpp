#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/option_values.h"
#include "common/api_token.h"
#include "common/api_types.h"
#include "common/environment.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr const char* fish = "fish";

struct EnvOptions {
    std::string service = "default";
    std::string shell;
    bool unset = false;
    bool json = false;
};

// What Jamsocket's command line and SDKs read.
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
    const std::string address = "http://127.0.0.1:" + port;
    return EnvironmentMap{{"JAMSOCKET_SERVER_API", address},        {"JAMSOCKET_API_URL", address},
                          {"JAMSOCKET_ACCOUNT", service.account()}, {"JAMSOCKET_TOKEN", token},
                          {"JAMSOCKET_SERVICE", service.service()}, {"JAMSOCKET_DEV_PORT", port}};
}

const std::initializer_list<const char*> names{"JAMSOCKET_SERVER_API", "JAMSOCKET_API_URL",
                                               "JAMSOCKET_ACCOUNT",    "JAMSOCKET_TOKEN",
                                               "JAMSOCKET_SERVICE",    "JAMSOCKET_DEV_PORT"};

bool is_for_fish(const EnvOptions& options) {
    if (!options.shell.empty()) return options.shell == fish;
    return environment_variable("SHELL").value_or("").ends_with("/fish");
}

std::string lines_that_unset(bool for_fish) {
    std::string lines;
    for (const char* name : names)
        lines += fmt::format("{} {}\n", for_fish ? "set -e" : "unset", name);
    return lines;
}

std::string lines_that_set(const EnvironmentMap& variables, bool for_fish) {
    std::string lines;
    for (const auto& [name, value] : variables) {
        lines += for_fish ? fmt::format("set -gx {} {}\n", name, shell_line({value}))
                          : fmt::format("export {}={}\n", name, shell_line({value}));
    }
    return lines;
}

Result<int> run_env(const EnvOptions& options, const Invocation& invocation) {
    const bool for_fish = is_for_fish(options);
    if (options.unset) {
        invocation.terminal.out << lines_that_unset(for_fish);
        return 0;
    }
    const auto service = ServiceName::parse(options.service);
    if (!service) return tl::unexpected(service.error());
    const auto set = variables(*service, invocation);
    if (!set) return tl::unexpected(set.error());
    invocation.terminal.out << (options.json ? environment_json(*set) + '\n'
                                             : lines_that_set(*set, for_fish));
    return 0;
}

}  // namespace

VerbRun prepare_env(CLI::App& app) {
    auto options = std::make_shared<EnvOptions>();
    app.add_option("SERVICE", options->service, "The service that programs connect to")
        ->type_name("")
        ->default_str("default");
    app.add_option("--shell", options->shell, "sh or fish (default: as $SHELL has it)")
        ->check(CLI::IsMember({"sh", fish}))
        ->type_name("NAME");
    app.add_flag("--unset", options->unset, "Print the lines that take the variables back");
    app.add_flag("--json", options->json, "Print one JSON object");
    app.footer(
        "The lines hold the token of this daemon's API: who has it may start and end backends.\n"
        "In fish: jamsock env | source\n");
    return [options](Invocation& invocation) { return run_env(*options, invocation); };
}

}  // namespace jamsock
