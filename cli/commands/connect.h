// What `connect` and `lookup` share: a look-up is a connect that starts nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/invocation.h"

namespace jamsock {

struct ConnectOptions {
    std::string service;
    const CLI::Option* key_option = nullptr;  // not given: JAMSOCK_KEY, else no key
    std::string key;
    std::vector<std::string> variables;
    const CLI::Option* tag_option = nullptr;  // null for a look-up
    std::string tag;
    const CLI::Option* timeout_option = nullptr;
    std::string timeout;
    bool no_wait = false;
    bool no_spawn = false;
    bool json = false;
};

// The options that both verbs take.
void add_lookup_options(CLI::App& app, ConnectOptions& options);

Result<int> run_connect(const ConnectOptions& options, Invocation& invocation);

}  // namespace jamsock
