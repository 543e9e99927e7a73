// Which backends a command line means: by their ids, or by the keys that they hold.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/invocation.h"

namespace jamsock {

struct SelectionOptions {
    std::vector<std::string> words;  // ids; with --key, the keys' service
    std::vector<std::string> keys;
};

void add_selection_options(CLI::App& app, SelectionOptions& options);

// Either `ids`, or keys and their service.
struct Selection {
    std::vector<BackendId> ids;
    std::vector<Key> keys;
    ServiceName service = ServiceName::standard();
};

// Asks no daemon, so that a wrong word is refused before one is started.
Result<Selection> parse_selection(const SelectionOptions& options);

// The id of each that is meant, in order; for a key, that of its holder. Fails as a whole only if
// the daemon can't be asked.
Result<std::vector<Result<BackendId>>> resolve(const Selection& selection,
                                               const Invocation& invocation, Deadline deadline);

// The same for a command that takes one backend at a time: "The status is shown …".
Result<BackendId> resolve_one(const SelectionOptions& options, const Invocation& invocation,
                              std::string_view what, Deadline deadline);

// All about one backend, live or ended.
Result<ApiAnswer<BackendInfo>> ask_for_backend(const BackendId& id, const Invocation& invocation,
                                               Deadline deadline);

// What to say of `id` where there is no daemon and no backend for one to adopt.
Error nothing_runs(const BackendId& id);

}  // namespace jamsock
