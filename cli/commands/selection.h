// Which backends a command line means: their ids, or the one that holds a key.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/invocation.h"

namespace jamsock {

struct SelectionOptions {
    std::vector<std::string> words;  // ids; with --key, the key's service
    const CLI::Option* key_option = nullptr;
    std::string key;
};

// `ids` says how the ids are named in the help.
void add_selection_options(CLI::App& app, SelectionOptions& options, const std::string& ids);

// Either `ids`, or a key and its service.
struct Selection {
    std::vector<BackendId> ids;
    std::optional<Key> key;
    ServiceName service = ServiceName::standard();
};

// Asks no daemon, so that a wrong word is refused before one is started.
Result<Selection> parse_selection(const SelectionOptions& options);

// The ids; for a key, the id of its holder.
Result<std::vector<BackendId>> resolve(const Selection& selection, const Invocation& invocation,
                                       Deadline deadline);

// What to say of `id` where there is no daemon and no backend for one to adopt.
Error nothing_runs(const BackendId& id);

}  // namespace jamsock
