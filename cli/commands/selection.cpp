#include "cli/commands/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/hints.h"
#include "common/text.h"

namespace jamsock {

namespace {

Result<Selection> parse_keys_and_service(const SelectionOptions& options) {
    if (options.words.size() > 1) {
        return fail(ErrorCode::invalid_request,
                    "Beside --key only the name of its service can stand.");
    }
    Selection selection;
    for (const std::string& text : options.keys) {
        auto key = Key::parse(text);
        if (!key) return pass_on(key);
        selection.keys.push_back(std::move(*key));
    }
    auto service = ServiceName::parse(options.words.empty() ? "" : options.words.front());
    if (!service) return pass_on(service);
    selection.service = std::move(*service);
    return selection;
}

// Keys are apart by account and service, not by environment (CONTRACT, Words).
bool holds(const KeyEntry& entry, const Key& key, const ServiceName& service) {
    return entry.key == key && entry.service.account() == service.account() &&
           entry.service.service() == service.service();
}

Result<BackendId> holder_in(const KeyList& list, const Key& key, const ServiceName& service) {
    const auto holder = std::ranges::find_if(
        list.keys, [&](const KeyEntry& entry) { return holds(entry, key, service); });
    if (holder != list.keys.end()) return holder->backend_id;
    return fail(ErrorCode::key_unheld_no_spawn_config,
                fmt::format("No backend holds the key {}.", in_quotes(key.str())),
                key_command("connect", service, key));
}

}  // namespace

void add_selection_options(CLI::App& app, SelectionOptions& options) {
    app.add_option("ID", options.words, "Ids of backends; with --key, the service of the key")
        ->type_name("");
    app.add_option("-k,--key", options.keys, "The backend that holds this key")
        ->type_name("KEY")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Result<Selection> parse_selection(const SelectionOptions& options) {
    if (!options.keys.empty()) return parse_keys_and_service(options);
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

Result<std::vector<Result<BackendId>>> resolve(const Selection& selection,
                                               const Invocation& invocation, Deadline deadline) {
    std::vector<Result<BackendId>> found(selection.ids.begin(), selection.ids.end());
    if (selection.keys.empty()) return found;
    auto list = invocation.ask(
        deadline, Repeat::once, []() -> Result<ApiAnswer<KeyList>> { return ApiAnswer<KeyList>{}; },
        [deadline](DaemonClient& client) { return client.keys(deadline); });
    if (!list) return pass_on(list);
    for (const Key& key : selection.keys)
        found.push_back(holder_in(list->value, key, selection.service));
    return found;
}

Result<BackendId> resolve_one(const SelectionOptions& options, const Invocation& invocation,
                              std::string_view what, Deadline deadline) {
    auto selection = parse_selection(options);
    if (!selection) return pass_on(selection);
    if (selection->ids.size() + selection->keys.size() > 1) {
        return fail(ErrorCode::invalid_request, fmt::format("{} of one backend at a time.", what));
    }
    auto ids = resolve(*selection, invocation, deadline);
    if (!ids) return pass_on(ids);
    return ids->front();
}

Result<ApiAnswer<BackendInfo>> ask_for_backend(const BackendId& id, const Invocation& invocation,
                                               Deadline deadline) {
    return invocation.ask(
        deadline, Repeat::once,
        [&]() -> Result<ApiAnswer<BackendInfo>> { return tl::unexpected(nothing_runs(id)); },
        [&](DaemonClient& client) { return client.backend(id, deadline); });
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
