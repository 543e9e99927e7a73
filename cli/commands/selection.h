// Which backends a command line means: by their ids, or by the keys that they hold. A key with one
// of *, ? and [ is a glob (fnmatch(3), without special characters in a path); a backslash takes the
// meaning of the next character.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/invocation.h"

namespace jamsock {

struct SelectionOptions {
    std::vector<std::string> words;  // ids; with --key and no --service, the keys' service
    std::vector<std::string> keys;
    std::string service;
};

void add_selection_options(CLI::App& app, SelectionOptions& options);

// That nobody holds the key, and how to have it held.
Error unheld(const ServiceName& service, const Key& key);

// The text that a pattern of this one key has.
std::string glob_of(const std::string& key);

// A key, or a glob of keys.
class KeyPattern {
  public:
    static Result<KeyPattern> parse(const std::string& text);

    bool matches(const Key& key) const;
    bool is_glob() const { return is_glob_; }
    // The one key that is meant, if it is no glob; else the glob's text.
    const Key& key() const { return key_; }

  private:
    KeyPattern(Key key, bool is_glob) : key_(std::move(key)), is_glob_(is_glob) {}
    Key key_;
    bool is_glob_;
};

// Those of several backends that are wanted; what is empty restricts nothing.
struct BackendFilter {
    std::string service;  // in whichever environment
    std::vector<KeyPattern> keys;

    // `service` as the command line takes it.
    static Result<BackendFilter> parse(const std::string& service,
                                       const std::vector<std::string>& keys);
    bool takes(const ServiceName& of, const std::optional<Key>& key) const;
};

// Either `ids`, or keys and their service.
struct Selection {
    std::vector<BackendId> ids;
    std::vector<KeyPattern> keys;
    ServiceName service = ServiceName::standard();
};

// Asks no daemon, so that a wrong word is refused before one is started.
Result<Selection> parse_selection(const SelectionOptions& options);

// The id of each that is meant, in order and once; for a key, that of its holder. Fails as a whole
// only if the daemon can't be asked.
Result<std::vector<Result<BackendId>>> resolve(const Selection& selection,
                                               const Invocation& invocation, Deadline deadline);

// The same for a command that takes one backend at a time: "The status is shown …". Conflict if a
// glob means several.
Result<BackendId> resolve_one(const SelectionOptions& options, const Invocation& invocation,
                              std::string_view what, Deadline deadline);

// All about one backend, live or ended.
Result<ApiAnswer<BackendInfo>> ask_for_backend(const BackendId& id, const Invocation& invocation,
                                               Deadline deadline);

// What to say of `id` where there is no daemon and no backend for one to adopt.
Error nothing_runs(const BackendId& id);

}  // namespace jamsock
