#include "cli/commands/selection.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "cli/wide_text_locale.h"
#include "common/hints.h"
#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::string_view glob_letters = "*?[";

Result<Selection> parse_keys_and_service(const SelectionOptions& options) {
    const bool named = !options.service.empty();
    if (options.words.size() > (named ? 0 : 1)) {
        return fail(ErrorCode::invalid_request,
                    named ? "Give ids or keys, not both."
                          : "Beside --key only the name of its service can stand.");
    }
    Selection selection;
    for (const std::string& text : options.keys) {
        auto key = KeyPattern::parse(text);
        if (!key) return pass_on(key);
        selection.keys.push_back(std::move(*key));
    }
    const std::string word = options.words.empty() ? "" : options.words.front();
    auto service = ServiceName::parse(named ? options.service : word);
    if (!service) return pass_on(service);
    selection.service = std::move(*service);
    return selection;
}

// Keys are apart by account and service, not by environment (CONTRACT, Words).
bool is_of(const KeyEntry& entry, const ServiceName& service) {
    return entry.service.account() == service.account() &&
           entry.service.service() == service.service();
}

Error unheld_pattern(const KeyPattern& wanted, const ServiceName& service) {
    if (!wanted.is_glob()) return unheld(service, wanted.key());
    return {ErrorCode::key_unheld_no_spawn_config,
            fmt::format("No backend holds a key that matches {}.", in_quotes(wanted.key().str())),
            "jamsock list",
            {}};
}

void add_once(const Result<BackendId>& id, std::vector<Result<BackendId>>& found) {
    const bool is_there = std::ranges::any_of(
        found, [&](const Result<BackendId>& other) { return id && other && *other == *id; });
    if (!is_there) found.push_back(id);
}

void add_holders(const KeyList& list, const KeyPattern& wanted, const ServiceName& service,
                 std::vector<Result<BackendId>>& found) {
    bool is_held = false;
    for (const KeyEntry& entry : list.keys) {
        if (!entry.key || !is_of(entry, service) || !wanted.matches(*entry.key)) continue;
        is_held = true;
        add_once(entry.backend_id, found);
    }
    if (!is_held) found.push_back(tl::unexpected(unheld_pattern(wanted, service)));
}

}  // namespace

void add_selection_options(CLI::App& app, SelectionOptions& options) {
    app.add_option("ID", options.words, "Ids of backends; with --key, the service of the key")
        ->type_name("");
    app.add_option("-k,--key", options.keys,
                   "The backend that holds this key; of a glob, as 'doc-*', those that do")
        ->type_name("KEYS")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_option("-s,--service", options.service, "The service of the keys")
        ->type_name("SERVICE");
}

Error unheld(const ServiceName& service, const Key& key) {
    return {ErrorCode::key_unheld_no_spawn_config,
            fmt::format("No backend holds the key {}.", in_quotes(key.str())),
            key_command("connect", service, key),
            {}};
}

std::string glob_of(const std::string& key) {
    if (key.find_first_of(glob_letters) == std::string::npos) return key;
    std::string glob;
    for (const char c : key) {
        const bool has_meaning = c == '\\' || glob_letters.find(c) != std::string_view::npos;
        glob += has_meaning ? std::string{'\\', c} : std::string(1, c);
    }
    return glob;
}

Result<KeyPattern> KeyPattern::parse(const std::string& text) {
    if (text.find_first_of(glob_letters) != std::string::npos) {
        auto glob = Key::parse(text);
        if (!glob) return pass_on(glob);
        return KeyPattern(std::move(*glob), true);
    }
    auto key = Key::parse(text);
    if (!key) return pass_on(key);
    return KeyPattern(std::move(*key), false);
}

bool KeyPattern::matches(const Key& key) const {
    if (!is_glob_) return key == key_;
    const WideTextLocale locale;
    return ::fnmatch(key_.str().c_str(), key.str().c_str(), 0) == 0;
}

Result<BackendFilter> BackendFilter::parse(const std::string& service,
                                           const std::vector<std::string>& keys) {
    BackendFilter filter;
    if (!service.empty()) {
        auto name = ServiceName::parse(service);
        if (!name) return pass_on(name);
        filter.service = name->service();
    }
    for (const std::string& text : keys) {
        auto pattern = KeyPattern::parse(text);
        if (!pattern) return pass_on(pattern);
        filter.keys.push_back(std::move(*pattern));
    }
    return filter;
}

bool BackendFilter::takes(const ServiceName& of, const std::optional<Key>& key) const {
    if (!service.empty() && of.service() != service) return false;
    if (keys.empty()) return true;
    return key && std::ranges::any_of(
                      keys, [&](const KeyPattern& pattern) { return pattern.matches(*key); });
}

Result<Selection> parse_selection(const SelectionOptions& options) {
    if (!options.keys.empty()) return parse_keys_and_service(options);
    if (!options.service.empty()) {
        return fail(ErrorCode::invalid_request, "--service goes with --key.");
    }
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
    std::vector<Result<BackendId>> found;
    for (const BackendId& id : selection.ids)
        add_once(id, found);
    if (selection.keys.empty()) return found;
    auto list = invocation.ask(
        deadline, Repeat::once, []() -> Result<ApiAnswer<KeyList>> { return ApiAnswer<KeyList>{}; },
        [deadline](DaemonClient& client) { return client.keys(deadline); });
    if (!list) return pass_on(list);
    for (const KeyPattern& wanted : selection.keys)
        add_holders(list->value, wanted, selection.service, found);
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
    if (ids->size() == 1) return ids->front();
    return fail(
        ErrorCode::conflict,
        fmt::format("{} of one backend at a time, and {} backends hold a key that matches {}.",
                    what, ids->size(), in_quotes(selection->keys.front().key().str())),
        "jamsock list");
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
