#include "cli/commands/connect.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>
#include <memory>

#include "cli/backend_progress.h"
#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/given_program.h"
#include "cli/option_values.h"
#include "cli/render.h"
#include "common/environment.h"
#include "common/hints.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using Seconds = std::chrono::duration<double>;
using ConnectAnswer = Result<ApiAnswer<ConnectResponse>>;

Result<std::optional<Key>> chosen_key(const ConnectOptions& options) {
    const auto variable = environment_variable("JAMSOCK_KEY");
    const bool given = options.key_option->count() > 0;
    if (!given && !variable) return std::nullopt;
    auto key = Key::parse(given ? options.key : *variable);
    if (!key) return pass_on(key);
    return std::move(*key);
}

Result<> add_command(const Invocation& invocation, ConnectRequest& request) {
    if (!invocation.program) return {};
    auto given = given_program(*invocation.program);
    if (!given) return pass_on(given);
    request.command = std::move(given->command);
    request.base_environment = std::move(given->base_environment);
    return {};
}

bool is_given(const CLI::Option* option) {
    return option && option->count() > 0;
}

Result<> check_look_up(const ConnectOptions& options, const Invocation& invocation,
                       const std::optional<Key>& key) {
    if (!key) {
        return fail(ErrorCode::invalid_request, "A look-up needs a key: give --key KEY.");
    }
    const bool starts = is_given(options.tag_option) || is_given(options.max_idle_option) ||
                        is_given(options.lifetime_option) || !options.variables.empty();
    if (starts || invocation.program) {
        return fail(ErrorCode::invalid_request,
                    "--no-spawn starts nothing, so --env, --tag, --max-idle, --lifetime and a "
                    "command can't go with it.");
    }
    return {};
}

// `-` is all of standard input: what stands in no list of processes.
std::string given_or_read(const std::string& text) {
    if (text != "-") return text;
    return {std::istreambuf_iterator<char>(std::cin), {}};
}

Result<> add_identity(const ConnectOptions& options, ConnectRequest& request) {
    if (is_given(options.user_option)) {
        if (auto valid = require_utf8("The user", options.user); !valid) return pass_on(valid);
        request.user = options.user;
    }
    if (!is_given(options.auth_option)) return {};
    const std::string auth = given_or_read(options.auth);
    auto read = ConnectRequest::from_json(fmt::format(R"({{"auth":{}}})", auth));
    if (!read || !is_whole_json(auth)) {
        return fail(ErrorCode::invalid_request, "The option --auth needs a JSON object.");
    }
    request.auth = std::move(read->auth);
    return {};
}

Result<> add_limit(const CLI::Option* option, const char* name, const std::string& text,
                   const LimitRange& range, std::optional<std::int64_t>& limit) {
    if (!is_given(option)) return {};
    auto seconds = parse_count(name, text, range.least, range.most);
    if (!seconds) return pass_on(seconds);
    limit = *seconds;
    return {};
}

Result<> add_spawn(const ConnectOptions& options, ConnectRequest& request) {
    auto variables = parse_variables(options.variables);
    if (!variables) return pass_on(variables);
    request.env = std::move(*variables);
    if (is_given(options.tag_option)) {
        if (auto valid = require_utf8("The tag", options.tag); !valid) return pass_on(valid);
        request.tag = options.tag;
    }
    Limits& limits = request.limits;
    auto added = add_limit(options.max_idle_option, "--max-idle", options.max_idle,
                           limit_range::max_idle, limits.max_idle);
    if (!added) return added;
    return add_limit(options.lifetime_option, "--lifetime", options.lifetime, limit_range::lifetime,
                     limits.lifetime);
}

Result<ConnectRequest> request_of(const ConnectOptions& options, const Invocation& invocation) {
    auto key = chosen_key(options);
    if (!key) return pass_on(key);
    ConnectRequest request{.key = std::move(*key), .spawn = !options.no_spawn};
    if (options.no_spawn) {
        auto checked = check_look_up(options, invocation, request.key);
        if (!checked) return pass_on(checked);
    }
    if (auto added = add_spawn(options, request); !added) return pass_on(added);
    if (auto added = add_identity(options, request); !added) return pass_on(added);
    if (auto added = add_command(invocation, request); !added) return pass_on(added);
    return request;
}

// A look-up answers at once with the backend as it is, be it starting or ending.
bool waits_until_ready(const ConnectOptions& options) {
    return !options.no_wait && !options.no_spawn;
}

Result<Seconds> limit_of(const ConnectOptions& options) {
    if (is_given(options.timeout_option)) return parse_seconds("--timeout", options.timeout);
    if (!waits_until_ready(options)) return timeouts::client_answer;
    return std::chrono::seconds(limit_range::startup.most) + timeouts::client_margin;
}

// A look at the status reads a key as a glob.
std::string status_command(const ServiceName& service, const Key& key) {
    const auto glob = Key::parse(glob_of(key.str()));
    return glob ? key_command("status", service, *glob) : "jamsock list";
}

Error timed_out(const ConnectOptions& options, const ServiceName& service,
                const std::optional<Key>& key, Seconds limit) {
    const bool waited = waits_until_ready(options);
    return Error{ErrorCode::timed_out,
                 fmt::format("{} within {:.3g} s.",
                             waited ? "The backend wasn't ready" : "The daemon didn't answer",
                             limit.count()),
                 key && waited ? status_command(service, *key) : "jamsock list",
                 {}};
}

ConnectAnswer ask_for_url(const ConnectOptions& options, const ConnectRequest& request,
                          const ServiceName& service, Seconds limit, const Invocation& invocation) {
    const Deadline deadline = deadline_in(limit);
    // Without a key, a repeated call could start a second backend.
    auto answer = invocation.ask(
        deadline, request.key ? Repeat::once : Repeat::never,
        [&]() -> ConnectAnswer { return tl::unexpected(unheld(service, *request.key)); },
        [&](DaemonClient& client) {
            BackendProgress progress(invocation.terminal, service, request.key);
            if (waits_until_ready(options) && !options.quiet) progress.show_while_waiting(client);
            return client.connect(service, request, waits_until_ready(options), deadline);
        });
    if (answer) return answer;
    const bool limited = waits_until_ready(options) || is_given(options.timeout_option);
    const bool too_late = limited && answer.error().code == ErrorCode::daemon_unavailable &&
                          std::chrono::steady_clock::now() >= deadline;
    if (too_late) return tl::unexpected(timed_out(options, service, request.key, limit));
    const bool is_unheld = answer.error().code == ErrorCode::key_unheld_no_spawn_config;
    if (is_unheld && answer.error().hint.empty()) {
        answer.error().hint = key_command("connect", service, request.key);
    }
    return answer;
}

std::string text_of(const Connected& connected, OutputForm form) {
    const auto& [value, json] = connected.answer;
    switch (form) {
        case OutputForm::json:
            return json + '\n';
        case OutputForm::name:
            return value.backend_id.str() + '\n';
        case OutputForm::env:
            return shell_assignments(connection_variables(connected), shell_is_fish());
        default:
            return value.url + '\n';
    }
}

}  // namespace

void add_lookup_options(CLI::App& app, ConnectOptions& options) {
    app.add_option("SERVICE", options.service, "The service; 'default' if none is given")
        ->type_name("");
    options.key_option =
        app.add_option("-k,--key", options.key, "The key: 1 to 128 characters, any but U+0000")
            ->type_name("KEY");
    options.user_option =
        app.add_option("-u,--user", options.user, "Who uses the URL: the backend's requests say it")
            ->type_name("USER");
    options.auth_option =
        app.add_option("-a,--auth", options.auth,
                       "More about the user, a JSON object; '-' reads it from standard input")
            ->type_name("JSON");
    options.timeout_option =
        app.add_option("--timeout", options.timeout, "Give up after so long; exit code 124")
            ->type_name("SECONDS");
}

void add_spawn_options(CLI::App& app, ConnectOptions& options) {
    app.add_option("-e,--env", options.variables,
                   "A variable for the backend, if one is started; may be repeated")
        ->type_name("NAME=VALUE")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    options.tag_option = app.add_option("-t,--tag", options.tag,
                                        "Refuse a backend that was started with another tag")
                             ->type_name("TAG");
    options.max_idle_option =
        app.add_option("-i,--max-idle", options.max_idle,
                       "How long the backend, if one is started, may be unused; 300 if not set")
            ->type_name("SECONDS");
    options.lifetime_option = app.add_option("-l,--lifetime", options.lifetime,
                                             "How long it may live; no limit if not set")
                                  ->type_name("SECONDS");
}

void add_answer_options(CLI::App& app, ConnectOptions& options) {
    add_output_options(app, options.form,
                       {OutputForm::url, OutputForm::json, OutputForm::name, OutputForm::env});
    app.add_flag("-q,--quiet", options.quiet, "Nothing but the answer, also on a terminal");
}

EnvironmentMap connection_variables(const Connected& connected) {
    const ConnectResponse& response = connected.answer.value;
    EnvironmentMap variables{{"JAMSOCK_URL", response.url},
                             {"JAMSOCK_BACKEND_ID", response.backend_id.str()},
                             {"JAMSOCK_SECRET_TOKEN", response.secret_token}};
    if (connected.key) variables.emplace("JAMSOCK_KEY", connected.key->str());
    return variables;
}

Result<Connected> connect_backend(const ConnectOptions& options, Invocation& invocation) {
    const auto service = ServiceName::parse(options.service);
    if (!service) return tl::unexpected(service.error());
    auto limit = limit_of(options);
    if (!limit) return pass_on(limit);
    auto request = request_of(options, invocation);
    if (!request) return pass_on(request);
    if (options.no_spawn) invocation.start = StartRule::if_backends_live;
    auto answer = ask_for_url(options, *request, *service, *limit, invocation);
    if (!answer) return pass_on(answer);
    return Connected{*service, std::move(request->key), std::move(*answer)};
}

Result<int> run_connect(const ConnectOptions& options, Invocation& invocation) {
    const auto connected = connect_backend(options, invocation);
    if (!connected) return tl::unexpected(connected.error());
    Terminal& terminal = invocation.terminal;
    terminal.out << text_of(*connected, options.form) << std::flush;
    const bool shows_url = options.form == OutputForm::url || options.form == OutputForm::text;
    if (shows_url && terminal.err_is_terminal && !options.quiet) {
        terminal.err << render_connect_details(connected->answer.value, connected->key);
    }
    return 0;
}

VerbRun prepare_connect(CLI::App& app) {
    auto options = std::make_shared<ConnectOptions>();
    add_lookup_options(app, *options);
    add_spawn_options(app, *options);
    add_answer_options(app, *options);
    app.add_flag("--no-wait", options->no_wait, "Don't wait until the backend is ready");
    app.add_flag("--no-spawn", options->no_spawn, "Start nothing: the same as 'jamsock lookup'");
    app.footer(
        "Prints the URL, once the backend is ready. Who has the URL can use the backend.\n"
        "A COMMAND runs in place of the service's, in this directory; it must serve HTTP on\n"
        "127.0.0.1, port $PORT. Without --timeout, the service's startup limit counts.\n");
    return [options](Invocation& invocation) { return run_connect(*options, invocation); };
}

}  // namespace jamsock
