#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "cli/command_table.h"
#include "cli/completion.h"
#include "cli/help_layout.h"
#include "cli/help_topics.h"
#include "cli/invocation.h"
#include "cli/render.h"
#include "cli/verb_options.h"
#include "common/nearest_name.h"
#include "common/text.h"
#include "common/version.h"

namespace jamsock {

namespace {

using Words = std::vector<std::string>;

bool asks_for_help(std::string_view word) {
    return word == "--help" || word == "-h";
}

bool is_group(const std::string& word) {
    return !find_verb(word) && !names_in(word).empty();
}

tl::unexpected<Error> unknown_name(const std::string& word, const std::string& group) {
    const char* kind = word.starts_with('-') ? "option" : "command";
    const std::string place = group.empty() ? "There is" : in_quotes(group) + " has";
    return fail(ErrorCode::invalid_request,
                fmt::format("{} no {} {}.{}", place, kind, in_quotes(word),
                            did_you_mean(word, names_in(group))),
                group.empty() ? "jamsock --help" : fmt::format("jamsock {} --help", group));
}

// The words after "--", taken out of `words` with it.
Words take_program(Words& words) {
    const auto dashes = std::ranges::find(words, "--");
    Words program(dashes + 1, words.end());
    words.erase(dashes, words.end());
    return program;
}

// "--key=" becomes "--key" and an empty word: CLI11 would take the next word for the value.
Words with_empty_values(const Words& words, const CLI::App& options) {
    Words separated;
    for (const std::string& word : words) {
        const bool has_no_value = word.starts_with("--") && word.ends_with('=');
        const std::string name = has_no_value ? word.substr(0, word.size() - 1) : word;
        const CLI::Option* option = has_no_value ? options.get_option_no_throw(name) : nullptr;
        separated.push_back(option ? name : word);
        if (option && option->get_items_expected_max() > 0) separated.emplace_back();
    }
    return separated;
}

Words option_names(const CLI::App& options) {
    Words names;
    for (const CLI::Option* option : options.get_options()) {
        for (const std::string& name : option->get_lnames())
            names.push_back("--" + name);
    }
    return names;
}

std::string unexpected_word(const Verb& verb, const CLI::App& options) {
    const Words rest = options.remaining();
    const std::string word = rest.empty() ? "" : rest.front();
    if (!word.starts_with('-')) {
        return fmt::format("'{}' has no use for the word {}.", verb.name, in_quotes(word));
    }
    const std::string name = word.substr(0, word.find('='));
    return fmt::format("'{}' has no option {}.{}", verb.name, in_quotes(name),
                       did_you_mean(name, option_names(options)));
}

// CLI11 says "--key: 1 required KEY missing" or "--key: At Most 1 required but received 2".
std::string wrong_number_of_values(const std::string& said) {
    const std::string name = said.substr(0, said.find(':'));
    const bool missing = said.ends_with("missing");
    return fmt::format("The option {} {}.", name, missing ? "needs a value" : "is given twice");
}

tl::unexpected<Error> usage_error(const CLI::ParseError& wrong, const Verb& verb,
                                  const CLI::App& options) {
    std::string sentence = fmt::format("The command line can't be read: {}.", wrong.what());
    if (dynamic_cast<const CLI::ExtrasError*>(&wrong)) sentence = unexpected_word(verb, options);
    if (dynamic_cast<const CLI::ValidationError*>(&wrong)) sentence = wrong.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&wrong)) {
        sentence = wrong_number_of_values(wrong.what());
    }
    return fail(ErrorCode::invalid_request, sentence);
}

// A command's own errors of use lead to its help.
void add_help_hint(Error& error, const std::string& command) {
    const bool wrong_use = info(error.code).exit_code == info(ErrorCode::invalid_request).exit_code;
    if (wrong_use && error.hint.empty()) error.hint = command + " --help";
}

std::string indented(std::string_view lines, std::string_view before) {
    std::string text;
    for (auto end = lines.find('\n'); end != std::string_view::npos; end = lines.find('\n')) {
        fmt::format_to(std::back_inserter(text), "{}{}\n", before, lines.substr(0, end));
        lines.remove_prefix(end + 1);
    }
    return text;
}

// CLI11 lists the options; usage and examples are the table's, and notes the command's footer.
class HelpFormatter : public CLI::Formatter {
  public:
    explicit HelpFormatter(const Verb& verb) : verb_(verb) {}

    std::string make_usage(const CLI::App*, std::string name) const override {
        return "\nUsage:\n" + indented(verb_.usage, "  " + name);
    }
    std::string make_footer(const CLI::App* app) const override {
        const std::string notes = reflowed(app->get_footer());
        return fmt::format("{}{}Examples:\n{}", notes, notes.empty() ? "" : "\n",
                           indented(verb_.examples, "  "));
    }

    std::string make_option(const CLI::Option* option, bool is_positional) const override {
        const std::string names =
            "  " + make_option_name(option, is_positional) + make_option_opts(option);
        const std::size_t indent = get_column_width();
        const std::size_t used = display_width(names);
        const std::string gap =
            used + 1 < indent ? std::string(indent - used, ' ') : '\n' + std::string(indent, ' ');
        return names + gap + wrapped(make_option_desc(option), indent, indent);
    }

  private:
    const Verb& verb_;
};

Result<int> run_verb(const Verb& verb, Words words, Terminal& terminal) {
    const std::string command = fmt::format("jamsock {}", verb.name);
    CLI::App options{std::string(verb.summary), command};
    options.formatter(std::make_shared<HelpFormatter>(verb));
    const VerbRun run =
        add_options(verb, options, [&terminal](ColorRule rule) { terminal.set_color(rule); });

    Invocation invocation{.terminal = terminal, .start = verb.start};
    const bool has_program = std::ranges::find(words, "--") != words.end();
    if (has_program && !verb.takes_program) {
        return fail(ErrorCode::invalid_request,
                    fmt::format("'{}' runs no command, so '--' can't stand there.", verb.name),
                    command + " --help");
    }
    if (has_program) invocation.program = take_program(words);
    words = with_empty_values(words, options);
    std::ranges::reverse(words);  // CLI11 takes them last first
    try {
        options.parse(std::move(words));
    } catch (const CLI::CallForHelp&) {
        terminal.out << options.help();
        return 0;
    } catch (const CLI::ParseError& wrong) {
        auto error = usage_error(wrong, verb, options);
        add_help_hint(error.value(), command);
        return error;
    }
    Result<int> done = run(invocation);
    if (!done) add_help_hint(done.error(), command);
    return done;
}

Result<int> run_in_group(const std::string& group, const Words& words, Terminal& terminal) {
    if (words.empty() || asks_for_help(words.front())) {
        terminal.out << table_help(group);
        return 0;
    }
    const Verb* verb = find_verb(group.empty() ? words.front() : group + " " + words.front());
    const Words rest(words.begin() + 1, words.end());
    if (verb) return run_verb(*verb, rest, terminal);
    if (group.empty() && is_group(words.front()))
        return run_in_group(words.front(), rest, terminal);
    return unknown_name(words.front(), group);
}

// "help connect" is "connect --help"; a topic has a page of its own.
Result<int> run_help(Words words, Terminal& terminal) {
    const HelpTopic* topic = words.size() == 1 ? find_topic(words.front()) : nullptr;
    if (topic) {
        terminal.out << reflowed(topic->text);
        return 0;
    }
    words.emplace_back("--help");
    return run_in_group("", words, terminal);
}

Result<int> run_words(Words words, Terminal& terminal) {
    if (!words.empty() && words.front() == "--version") {
        terminal.out << fmt::format("jamsock {}\n", version());
        return 0;
    }
    if (!words.empty() && words.front() == completion_request) {
        print_completions({words.begin() + 1, words.end()}, terminal);
        return 0;
    }
    if (!words.empty() && words.front() == "help") {
        words.erase(words.begin());
        return run_help(std::move(words), terminal);
    }
    return run_in_group("", words, terminal);
}

// A bug or the lack of memory, told like any other error.
Result<int> run_guarded(const Words& words, Terminal& terminal) {
    try {
        return run_words(words, terminal);
    } catch (const std::exception&) {
        return fail(ErrorCode::internal, "jamsock met a bug in itself, or has no memory left.");
    }
}

int exit_code_of(const Error& error, const Words& words) {
    const int usual = info(error.code).exit_code;
    const bool is_of_program =
        error.code == ErrorCode::program_not_found || error.code == ErrorCode::program_not_runnable;
    const Verb* verb = words.empty() ? nullptr : find_verb(words.front());
    return verb && verb->own_failure != 0 && !is_of_program ? verb->own_failure : usual;
}

}  // namespace

int run_command_line(const std::vector<std::string>& words, Terminal& terminal) {
    Result<int> done = run_guarded(words, terminal);
    if (done && !terminal.out.flush()) {
        done = fail(ErrorCode::internal, "The answer can't be written to standard output.");
    }
    if (done) return *done;
    terminal.report(done.error());
    return exit_code_of(done.error(), words);
}

}  // namespace jamsock
