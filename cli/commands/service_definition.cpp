// `service create` and `service update`: the same options, over nothing or over what is there.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/given_program.h"
#include "cli/invocation.h"
#include "cli/option_values.h"
#include "common/service_types.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr const char* back_to_default = "default";

struct LimitOption {
    const char* name;
    const char* help;
    LimitRange range;
    ServiceUpdateRequest::Change<std::int64_t> ServiceUpdateRequest::*change;
};

constexpr std::array limit_options{
    LimitOption{"--max-idle", "End a backend that nobody has used for so long; 300 if not set",
                limit_range::max_idle, &ServiceUpdateRequest::max_idle},
    LimitOption{"--lifetime", "End a backend so long after its start; no limit if not set",
                limit_range::lifetime, &ServiceUpdateRequest::lifetime},
    LimitOption{"--grace", "Time between SIGTERM and SIGKILL; 10 if not set", limit_range::grace,
                &ServiceUpdateRequest::grace},
    LimitOption{"--startup", "Time for a backend to get ready; 30 if not set", limit_range::startup,
                &ServiceUpdateRequest::startup},
};

struct SignOption {
    const char* name;
    const char* type;
    const char* help;
    ReadySign::Kind kind;
    ServiceUpdateRequest::Change<ReadySign> ServiceUpdateRequest::*change;
};

constexpr std::array sign_options{
    SignOption{"--ready-log", "REGEX", "Ready when a line of its output matches",
               ReadySign::Kind::log, &ServiceUpdateRequest::ready_log},
    SignOption{"--ready-path", "PATH", "Ready when a GET of it is answered with 200 to 399",
               ReadySign::Kind::path, &ServiceUpdateRequest::ready_path},
    SignOption{"--ready-exec", "COMMAND", "Ready when this command for sh exits with 0",
               ReadySign::Kind::exec, &ServiceUpdateRequest::ready_exec},
};

struct DefinitionOptions {
    std::string name;
    std::string directory = ".";
    const CLI::Option* directory_given = nullptr;
    std::vector<std::string> variables;
    std::vector<std::string> unset;
    std::array<std::string, limit_options.size()> limits;
    std::array<const CLI::Option*, limit_options.size()> limit_given{};
    std::array<std::string, sign_options.size()> signs;
    std::array<const CLI::Option*, sign_options.size()> sign_given{};
    std::string listen_fd;
    std::string port_owner;
    const CLI::Option* listen_fd_given = nullptr;
    const CLI::Option* port_owner_given = nullptr;
    std::string allow_origins;
    const CLI::Option* allow_origins_given = nullptr;
};

void add_readiness_options(CLI::App& app, DefinitionOptions& options) {
    for (std::size_t i = 0; i < sign_options.size(); ++i) {
        options.sign_given[i] =
            app.add_option(sign_options[i].name, options.signs[i], sign_options[i].help)
                ->type_name(sign_options[i].type);
    }
    options.listen_fd_given =
        app.add_flag("--listen-fd", options.listen_fd,
                     "Hand it its listening socket as descriptor 3 (LISTEN_FDS)");
    options.port_owner_given =
        app.add_option("--port-owner", options.port_owner,
                       "Who may listen on its port: tree, its own processes, or any")
            ->type_name("WHO");
}

std::shared_ptr<DefinitionOptions> add_definition_options(CLI::App& app) {
    auto options = std::make_shared<DefinitionOptions>();
    app.add_option("SERVICE", options->name, "The service, or SERVICE/ENVIRONMENT")->type_name("");
    options->directory_given =
        app.add_option("--cwd", options->directory, "Where the command runs; here if not given")
            ->type_name("DIRECTORY");
    app.add_option("-e,--env", options->variables, "A variable for its backends; may be repeated")
        ->type_name("NAME=VALUE")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    for (std::size_t i = 0; i < limit_options.size(); ++i) {
        options->limit_given[i] =
            app.add_option(limit_options[i].name, options->limits[i], limit_options[i].help)
                ->type_name("SECONDS");
    }
    add_readiness_options(app, *options);
    options->allow_origins_given =
        app.add_option("--allow-origins", options->allow_origins,
                       "Whose pages may open WebSockets: any; or strict, its own alone")
            ->type_name("WHOSE");
    return options;
}

Result<> read_limits(const DefinitionOptions& options, bool takes_default,
                     ServiceUpdateRequest& change) {
    for (std::size_t i = 0; i < limit_options.size(); ++i) {
        const std::string& text = options.limits[i];
        auto& limit = change.*limit_options[i].change;
        if (options.limit_given[i]->count() == 0) continue;
        if (takes_default && text == back_to_default) {
            limit.emplace();
            continue;
        }
        auto seconds = parse_count(limit_options[i].name, text, limit_options[i].range.least,
                                   limit_options[i].range.most);
        if (!seconds) return pass_on(seconds);
        limit = *seconds;
    }
    return {};
}

Result<ReadySign> parse_sign(const SignOption& option, const std::string& text) {
    const std::string called = fmt::format("The option {}", option.name);
    if (auto valid = require_utf8(called, text); !valid) return pass_on(valid);
    return ReadySign::parse(option.kind, text, called);
}

Result<> read_sign(const DefinitionOptions& options, bool takes_default,
                   ServiceUpdateRequest& change) {
    const char* first = nullptr;
    for (std::size_t i = 0; i < sign_options.size(); ++i) {
        const SignOption& option = sign_options[i];
        if (options.sign_given[i]->count() == 0) continue;
        if (takes_default && options.signs[i] == back_to_default) {
            (change.*option.change).emplace();
            continue;
        }
        if (first) {
            return fail(ErrorCode::invalid_request,
                        fmt::format("Give {} or {}, not both.", first, option.name));
        }
        first = option.name;
        auto sign = parse_sign(option, options.signs[i]);
        if (!sign) return pass_on(sign);
        change.*option.change = std::move(*sign);
    }
    return {};
}

tl::unexpected<Error> no_such_word(const char* option, const char* words, bool takes_default,
                                   const std::string& given) {
    return fail(ErrorCode::invalid_request,
                fmt::format("The option {} needs {}{}; {} is none.", option, words,
                            takes_default ? " or 'default'" : "", in_quotes(given)));
}

Result<> read_listen_fd(const DefinitionOptions& options, bool takes_default,
                        ServiceUpdateRequest& change) {
    const std::string& text = options.listen_fd;
    if (options.listen_fd_given->count() == 0) return {};
    if (takes_default && text == back_to_default) {
        change.listen_fd.emplace();
        return {};
    }
    if (text != "true" && text != "false") {
        return no_such_word("--listen-fd", "'true', 'false'", takes_default, text);
    }
    change.listen_fd = text == "true";
    return {};
}

Result<> read_port_owner(const DefinitionOptions& options, bool takes_default,
                         ServiceUpdateRequest& change) {
    const std::string& text = options.port_owner;
    if (options.port_owner_given->count() == 0) return {};
    const auto rule = port_rule_from_word(text);
    if (!rule && !(takes_default && text == back_to_default)) {
        return no_such_word("--port-owner", "'tree', 'any'", takes_default, text);
    }
    change.port_owner = rule;
    return {};
}

Result<> read_allow_origins(const DefinitionOptions& options, bool takes_default,
                            ServiceUpdateRequest& change) {
    const std::string& text = options.allow_origins;
    if (options.allow_origins_given->count() == 0) return {};
    const auto rule = origin_rule_from_word(text);
    if (!rule && !(takes_default && text == back_to_default)) {
        return no_such_word("--allow-origins", "'any', 'strict'", takes_default, text);
    }
    change.allow_origins = rule;
    return {};
}

Result<ServiceUpdateRequest> change_of(const DefinitionOptions& options, bool takes_default,
                                       const Invocation& invocation) {
    ServiceUpdateRequest change;
    auto variables = parse_variables(options.variables);
    if (!variables) return pass_on(variables);
    change.env.insert(variables->begin(), variables->end());
    for (const std::string& name : options.unset) {
        if (auto valid = require_utf8("The option --unset", name); !valid) return pass_on(valid);
        if (name.empty() || name.find('=') != std::string::npos) {
            return fail(ErrorCode::invalid_request,
                        fmt::format("The option --unset needs the name of a variable; {} is none.",
                                    in_quotes(name)));
        }
        if (!change.env.insert_or_assign(name, std::nullopt).second) {
            return fail(ErrorCode::invalid_request,
                        fmt::format("The variable {} is both set and taken away.", name));
        }
    }
    for (const auto& read :
         {read_limits, read_sign, read_listen_fd, read_port_owner, read_allow_origins}) {
        if (auto sound = read(options, takes_default, change); !sound) return pass_on(sound);
    }
    if (!invocation.program) {
        if (options.directory_given->count() == 0) return change;
        return fail(ErrorCode::invalid_request, "--cwd needs a command behind '--' to run there.");
    }
    auto given = given_program(*invocation.program, options.directory);
    // Nothing runs yet, so what can't be run is no failed start but a wrong word.
    if (!given) {
        given.error().code = ErrorCode::invalid_request;
        return pass_on(given);
    }
    change.command = std::move(given->command);
    change.base_environment = std::move(given->base_environment);
    return change;
}

void tell(const Terminal& terminal, const ServiceName& name, const char* what) {
    if (!terminal.err_is_terminal) return;
    terminal.err << "The service " << in_quotes(name.str()) << " is " << what
                 << ".\nTry: " << shell_line({"jamsock", "connect", name.str(), "--key"})
                 << " KEY\n";
}

Result<int> run_create(const DefinitionOptions& options, const Invocation& invocation) {
    const auto name = parse_service(options.name);
    if (!name) return tl::unexpected(name.error());
    if (!invocation.program && name->is_whole()) {
        return fail(ErrorCode::invalid_request, "A service needs a command to run behind '--'.");
    }
    auto change = change_of(options, /*takes_default=*/false, invocation);
    if (!change) return pass_on(change);
    const ServiceCreateRequest request{*name, change->applied_to({})};
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto created = invocation.ask(deadline, Repeat::never, no_daemon<>, [&](DaemonClient& client) {
        return client.create_service(request, deadline);
    });
    if (!created) return pass_on(created);
    tell(invocation.terminal, *name, "made");
    return 0;
}

Result<int> run_update(const DefinitionOptions& options, const Invocation& invocation) {
    const auto name = parse_service(options.name);
    if (!name) return tl::unexpected(name.error());
    auto change = change_of(options, /*takes_default=*/true, invocation);
    if (!change) return pass_on(change);
    if (change->is_empty()) return fail(ErrorCode::invalid_request, "No change is given.");
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto updated = invocation.ask(deadline, Repeat::once, no_daemon<>, [&](DaemonClient& client) {
        return client.update_service(*name, *change, deadline);
    });
    if (!updated) return pass_on(updated);
    tell(invocation.terminal, *name, "changed; running backends stay as they are");
    return 0;
}

}  // namespace

VerbRun prepare_service_create(CLI::App& app) {
    auto options = add_definition_options(app);
    app.footer(
        "The COMMAND is looked up now, in this PATH and directory, which its backends get too. It\n"
        "must serve HTTP on 127.0.0.1, port $PORT. An environment (SERVICE/ENVIRONMENT) has what\n"
        "its service has, and what it sets itself in its place. It counts as ready when it "
        "answers\n"
        "HTTP, unless one of --ready-log, --ready-path and --ready-exec is given, or when it "
        "sends\n"
        "READY=1 to $NOTIFY_SOCKET.\n");
    return [options](Invocation& invocation) { return run_create(*options, invocation); };
}

VerbRun prepare_service_update(CLI::App& app) {
    auto options = add_definition_options(app);
    app.add_option("--unset", options->unset, "A variable to take away; may be repeated")
        ->type_name("NAME")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.footer(
        "What is not named stays. The word 'default' takes a limit, a --ready option,\n"
        "--listen-fd, --port-owner or --allow-origins back (--listen-fd=default). Running\n"
        "backends stay as they are: each keeps what was set when it started.\n");
    return [options](Invocation& invocation) { return run_update(*options, invocation); };
}

}  // namespace jamsock
