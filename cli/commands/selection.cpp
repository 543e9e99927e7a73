#include "cli/commands/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/hints.h"
#include "common/text.h"

namespace jamsock {

namespace {

Result<Selection> parse_key_and_service(const SelectionOptions& options) {
    if (options.words.size() > 1) {
        return fail(ErrorCode::invalid_request,
                    "Beside --key only the name of its service can stand.");
    }
    auto key = Key::parse(options.key);
    if (!key) return pass_on(key);
    auto service = ServiceName::parse(options.words.empty() ? "" : options.words.front());
    if (!service) return pass_on(service);
    return Selection{{}, std::move(*key), std::move(*service)};
}

// Keys are apart by account and service, not by environment (CONTRACT, Words).
bool holds(const KeyEntry& entry, const Selection& selection) {
    return entry.key == selection.key && entry.service.account() == selection.service.account() &&
           entry.service.service() == selection.service.service();
}

}  // namespace

void add_selection_options(CLI::App& app, SelectionOptions& options, const std::string& ids) {
    app.add_option(ids, options.words, "Ids of backends; with --key, the service of the key")
        ->type_name("");
    options.key_option = app.add_option("-k,--key", options.key, "The backend that holds this key")
                             ->type_name("KEY");
}

Result<Selection> parse_selection(const SelectionOptions& options) {
    if (options.key_option->count() > 0) return parse_key_and_service(options);
    if (options.words.empty()) {
        return fail(ErrorCode::invalid_request, "Give the id of a backend, or --key KEY.");
    }
    Selection selection;
    for (const std::string& word : options.words) {
        auto id = BackendId::parse(word);
        if (!id) return pass_on(id);
        selection.ids.push_back(std::move(*id));
    }
    return selection;
}

Result<std::vector<BackendId>> resolve(const Selection& selection, const Invocation& invocation,
                                       Deadline deadline) {
    if (!selection.key) return selection.ids;
    auto list = invocation.ask(
        deadline, Repeat::once, []() -> Result<ApiAnswer<KeyList>> { return ApiAnswer<KeyList>{}; },
        [deadline](DaemonClient& client) { return client.keys(deadline); });
    if (!list) return pass_on(list);
    const auto& keys = list->value.keys;
    const auto holder = std::ranges::find_if(
        keys, [&selection](const KeyEntry& entry) { return holds(entry, selection); });
    if (holder != keys.end()) return std::vector{holder->backend_id};
    return fail(ErrorCode::key_unheld_no_spawn_config,
                fmt::format("No backend holds the key {}.", in_quotes(selection.key->str())),
                key_command("connect", selection.service, selection.key));
}

Error nothing_runs(const BackendId& id) {
    return Error{ErrorCode::backend_not_found,
                 fmt::format("No backend {} runs; the daemon, which knows those that ended, isn't "
                             "running.",
                             in_quotes(id.str())),
                 "jamsock daemon start",
                 {}};
}

}  // namespace jamsock
