#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>

#include "cli/command_table.h"
#include "cli/commands/selection.h"
#include "cli/help_topics.h"
#include "cli/invocation.h"
#include "cli/verb_options.h"
#include "common/text.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

constexpr auto patience = 500ms;  // of somebody who has pressed Tab
constexpr char between_choices = '|';

std::vector<Candidate> commands_of(const std::string& group) {
    std::vector<Candidate> found;
    for (const std::string& name : names_in(group)) {
        const Verb* verb = find_verb(group.empty() ? name : group + " " + name);
        found.push_back({name, verb ? std::string(verb->summary) : ""});
    }
    return found;
}

std::vector<Candidate> first_words() {
    std::vector<Candidate> found = commands_of("");
    found.push_back({"help", "Show the options of a command, or a topic."});
    found.push_back({"--help", "Show the commands"});
    found.push_back({"--version", "Show the version"});
    return found;
}

std::vector<Candidate> what_has_help(const Words& before) {
    if (!before.empty()) return commands_of(before.front());
    std::vector<Candidate> found = commands_of("");
    for (const HelpTopic& topic : help_topics())
        found.push_back({std::string(topic.name), std::string(topic.summary)});
    return found;
}

std::vector<Candidate> as_globs(std::vector<Candidate> keys) {
    for (Candidate& key : keys)
        key.word = glob_of(key.word);
    return keys;
}

// One command's line: `words` behind its name, the last one unfinished.
class VerbLine {
  public:
    VerbLine(const Verb& verb, Words words, const LiveNames& live)
        : verb_(verb),
          options_(describe(verb).options),
          words_(std::move(words)),
          current_(words_.back()),
          live_(live) {
        words_.pop_back();
    }

    Completions completions() const {
        if (std::ranges::find(words_, "--") != words_.end()) return {{}, true};
        const auto equals = current_.find('=');
        if (current_.starts_with("--") && equals != std::string::npos) {
            return values_behind(current_.substr(0, equals));
        }
        if (const VerbOption* waiting = words_.empty() ? nullptr : option(words_.back());
            waiting && !waiting->value.empty()) {
            return values(waiting->value);
        }
        if (current_.starts_with('-')) return {option_names()};
        return words_of_verb();
    }

  private:
    const VerbOption* option(const std::string& name) const {
        const auto found = std::ranges::find_if(options_, [&](const VerbOption& option) {
            return !option.is_word && std::ranges::find(option.names, name) != option.names.end();
        });
        return found == options_.end() ? nullptr : &*found;
    }

    Completions values(const std::string& kind) const {
        if (kind == "KEY") return {live_.keys()};
        if (kind == "KEYS") return {as_globs(live_.keys())};
        if (kind == "ID") return {live_.ids()};
        if (kind == "SERVICE") return {live_.services()};
        if (kind == "DIRECTORY" || kind == "FILE") return {{}, true};
        Completions found;
        if (kind.find(between_choices) == std::string::npos) return found;
        std::istringstream choices(kind);
        for (std::string choice; std::getline(choices, choice, between_choices);)
            found.candidates.push_back({choice, ""});
        return found;
    }

    Completions values_behind(const std::string& name) const {
        const VerbOption* named = option(name);
        if (!named) return {};
        Completions found = values(named->value);
        for (Candidate& candidate : found.candidates)
            candidate.word = name + "=" + candidate.word;
        return found;
    }

    std::vector<Candidate> option_names() const {
        std::vector<Candidate> found;
        for (const VerbOption& option : options_) {
            if (option.is_word) continue;
            for (const std::string& name : option.names)
                found.push_back({name, option.about});
        }
        if (verb_.takes_program) found.push_back({"--", "A command follows"});
        return found;
    }

    // A word beside --key is a service; before it, an id or a key where either can stand.
    Completions words_of_verb() const {
        const auto word =
            std::ranges::find_if(options_, [](const VerbOption& option) { return option.is_word; });
        if (word == options_.end()) return {};
        const bool has_key = std::ranges::any_of(words_, [](const std::string& text) {
            return text == "-k" || text == "--key" || text.starts_with("--key=");
        });
        const std::string& kind = word->names.back();
        if (has_key && (kind == "ID" || kind == "KEY")) return {live_.services()};
        if (kind == "SERVICE" || kind == "ID" || kind == "KEY") return values(kind);
        return values(word->value);
    }

    const Verb& verb_;
    std::vector<VerbOption> options_;
    Words words_;
    std::string current_;
    const LiveNames& live_;
};

Completions any_completions(const Words& words, const LiveNames& live) {
    if (words.size() == 1) return {first_words()};
    const std::string& first = words.front();
    if (first == "help") return {what_has_help({words.begin() + 1, words.end() - 1})};
    if (const Verb* verb = find_verb(first)) {
        return VerbLine(*verb, {words.begin() + 1, words.end()}, live).completions();
    }
    if (words.size() == 2) return {commands_of(first)};
    const Verb* verb = find_verb(first + " " + words[1]);
    if (!verb) return {};
    return VerbLine(*verb, {words.begin() + 2, words.end()}, live).completions();
}

// The names that a running daemon tells; each is asked for at most once.
class AskedNames {
  public:
    LiveNames names() {
        return {.keys = [this] { return keys(); },
                .ids = [this] { return ids(); },
                .services = [this] { return services(); }};
    }

  private:
    std::optional<DaemonClient>& client() {
        if (client_) return client_;
        const auto place = DaemonPlace::from_environment();
        if (!place) return client_;
        auto daemon = reach_daemon(*place, StartRule::never, deadline_);
        if (daemon) client_ = std::move(daemon->client);
        return client_;
    }

    std::vector<KeyEntry> entries() {
        if (!client()) return {};
        auto list = client_->keys(deadline_);
        return list ? std::move(list->value.keys) : std::vector<KeyEntry>{};
    }

    std::vector<Candidate> keys() {
        std::vector<Candidate> found;
        for (const KeyEntry& entry : entries()) {
            if (!entry.key) continue;
            found.push_back(
                {entry.key->str(), fmt::format("{} of {}, {}", entry.backend_id.str(),
                                               entry.service.str(), word(entry.status))});
        }
        return found;
    }

    std::vector<Candidate> ids() {
        std::vector<Candidate> found;
        for (const KeyEntry& entry : entries()) {
            found.push_back({entry.backend_id.str(), entry.key ? escaped(entry.key->str()) : ""});
        }
        return found;
    }

    std::vector<Candidate> services() {
        if (!client()) return {};
        const auto list = client_->services(deadline_);
        std::vector<Candidate> found;
        if (!list) return found;
        for (const std::string& name : list->value.services)
            found.push_back({name, ""});
        return found;
    }

    Deadline deadline_ = deadline_in(patience);
    std::optional<DaemonClient> client_;
};

}  // namespace

Completions completions(const Words& words, const LiveNames& live) {
    if (words.empty()) return {};
    Completions found = any_completions(words, live);
    std::erase_if(found.candidates, [&](const Candidate& candidate) {
        return !candidate.word.starts_with(words.back());
    });
    return found;
}

void print_completions(const Words& words, Terminal& terminal) {
    AskedNames asked;
    const Completions found = completions(words, asked.names());
    if (found.are_files) terminal.out << "@files\n";
    for (const auto& [word, about] : found.candidates) {
        if (escaped(word) != word) continue;  // no line of a shell could show it
        terminal.out << word << '\t' << about << '\n';
    }
}

}  // namespace jamsock
