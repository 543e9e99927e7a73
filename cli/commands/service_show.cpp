// `service list` and `service info`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/option_values.h"
#include "cli/output_form.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/service_types.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

struct InfoOptions {
    std::string name;
    OutputForm form = OutputForm::text;
};

using ServiceAnswer = Result<ApiAnswer<ServiceInfo>>;

ServiceAnswer ask_service(const ServiceName& name, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    return invocation.ask(deadline, Repeat::once, no_daemon<ApiAnswer<ServiceInfo>>,
                          [&](DaemonClient& client) { return client.service(name, deadline); });
}

// One that was deleted since the names were read is left out.
Result<std::vector<ServiceInfo>> ask_all(const ServiceList& names, const Invocation& invocation) {
    std::vector<ServiceInfo> services;
    for (const std::string& name : names.services) {
        auto service = ask_service(ServiceName::parse(name).value(), invocation);
        if (service) services.push_back(std::move(service->value));
        if (!service && service.error().code != ErrorCode::service_not_found)
            return pass_on(service);
    }
    return services;
}

Result<int> run_list(OutputForm form, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto names = invocation.ask(deadline, Repeat::once, no_daemon<ApiAnswer<ServiceList>>,
                                [&](DaemonClient& client) { return client.services(deadline); });
    if (!names) return pass_on(names);
    Terminal& terminal = invocation.terminal;
    if (form == OutputForm::json) {
        terminal.out << names->json << '\n';
        return 0;
    }
    if (form == OutputForm::name) {
        for (const std::string& name : names->value.services)
            terminal.out << name << '\n';
        return 0;
    }
    auto services = ask_all(names->value, invocation);
    if (!services) return pass_on(services);
    const std::int64_t now = wall_milliseconds();
    terminal.out << (terminal.out_is_terminal ? render_service_table(*services, now)
                                              : render_service_rows(*services, now));
    return 0;
}

// Of an environment, that one alone.
Result<ServiceInfo> only(const ServiceName& name, ServiceInfo service) {
    if (name.is_whole()) return service;
    std::erase_if(service.environments, [&](const EnvironmentInfo& environment) {
        return environment.name != name.environment();
    });
    if (!service.environments.empty()) return service;
    return fail(ErrorCode::service_not_found,
                fmt::format("There is no environment {}.", in_quotes(name.str())),
                shell_line({"jamsock", "service", "info", name.service()}));
}

Result<int> run_info(const InfoOptions& options, const Invocation& invocation) {
    const auto name = parse_service(options.name);
    if (!name) return tl::unexpected(name.error());
    auto answer = ask_service(*name, invocation);
    if (!answer) return pass_on(answer);
    auto service = only(*name, std::move(answer->value));
    if (!service) return pass_on(service);
    if (options.form == OutputForm::json) {
        invocation.terminal.out << answer->json << '\n';
    } else {
        invocation.terminal.out << render_service(*service, wall_milliseconds());
    }
    return 0;
}

}  // namespace

VerbRun prepare_service_list(CLI::App& app) {
    auto form = std::make_shared<OutputForm>(OutputForm::text);
    add_output_options(app, *form, {OutputForm::json, OutputForm::name});
    app.add_flag_callback(
        "-q,--quiet", [form] { *form = OutputForm::name; }, "The names alone: the same as -o name");
    app.footer("In a pipe one line for each service, without header, columns between tabs.\n");
    return [form](Invocation& invocation) { return run_list(*form, invocation); };
}

VerbRun prepare_service_info(CLI::App& app) {
    auto options = std::make_shared<InfoOptions>();
    app.add_option("SERVICE", options->name, "The service, or SERVICE/ENVIRONMENT")->type_name("");
    add_output_options(app, options->form, {OutputForm::json});
    app.footer("Of an environment, what it sets itself; the rest it has of its service.\n");
    return [options](Invocation& invocation) { return run_info(*options, invocation); };
}

}  // namespace jamsock
