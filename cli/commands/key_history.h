// A key whose backends are asked for, also where none holds it any more: `history` and `why`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/invocation.h"

namespace jamsock {

struct KeyOptions {
    std::string word;  // with --key, the key's service
    const CLI::Option* key_option = nullptr;
    std::string key;
    std::string service;
};

// `what` is what the word may be ("KEY"), `word_help` says it.
void add_key_options(CLI::App& app, KeyOptions& options, const std::string& what,
                     const std::string& word_help);

struct KeyOfService {
    Key key;
    ServiceName service;
};
// Asks no daemon. The word is the key where no --key is given. No glob: it names one key.
Result<KeyOfService> parse_key_options(const KeyOptions& options);

// The backends that it has had, the newest first, `most` of them. BackendNotFound if none is
// remembered.
Result<ApiAnswer<KeyHistory>> ask_for_history(const KeyOfService& wanted, std::size_t most,
                                              const Invocation& invocation, Deadline deadline);

}  // namespace jamsock
