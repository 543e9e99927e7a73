// What `connect`, `lookup` and `exec` share: a look-up is a connect that starts nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/invocation.h"
#include "cli/output_form.h"

namespace jamsock {

struct ConnectOptions {
    std::string service;
    const CLI::Option* key_option = nullptr;  // not given: JAMSOCK_KEY, else no key
    std::string key;
    const CLI::Option* user_option = nullptr;
    std::string user;
    const CLI::Option* auth_option = nullptr;
    std::string auth;
    const CLI::Option* timeout_option = nullptr;
    std::string timeout;
    // What only a start has a use for; a look-up has no such options.
    std::vector<std::string> variables;
    const CLI::Option* tag_option = nullptr;
    std::string tag;
    const CLI::Option* max_idle_option = nullptr;
    std::string max_idle;
    const CLI::Option* lifetime_option = nullptr;
    std::string lifetime;
    bool no_wait = false;
    bool no_spawn = false;
    bool quiet = false;
    OutputForm form = OutputForm::url;
};

// The options that all of them take.
void add_lookup_options(CLI::App& app, ConnectOptions& options);
// Those of a start.
void add_spawn_options(CLI::App& app, ConnectOptions& options);
// How the answer is printed.
void add_answer_options(CLI::App& app, ConnectOptions& options);

struct Connected {
    ServiceName service = ServiceName::standard();
    std::optional<Key> key;
    ApiAnswer<ConnectResponse> answer;
};

// Asks for the backend, and waits until it is ready if the options say so; on a terminal shows
// meanwhile how far it is.
Result<Connected> connect_backend(const ConnectOptions& options, Invocation& invocation);

// JAMSOCK_URL, JAMSOCK_BACKEND_ID, JAMSOCK_SECRET_TOKEN, and JAMSOCK_KEY if it has one.
EnvironmentMap connection_variables(const Connected& connected);

Result<int> run_connect(const ConnectOptions& options, Invocation& invocation);

}  // namespace jamsock
