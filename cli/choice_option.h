// An option that takes one of some words.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/text.h"

namespace jamsock {

// Each word with what it means.
template <class T>
using Choices = std::vector<std::pair<std::string, T>>;

// `names` as CLI11 takes them ("-o,--output"; "SHELL" for a word). Help and completions show the
// words in place of a value's name; one that is not among them is refused with all that are.
template <class T>
CLI::Option* add_choice_option(CLI::App& app, const std::string& names,
                               const std::string& description, Choices<T> choices,
                               std::function<void(const T&)> take) {
    std::vector<std::string> words;
    for (const auto& choice : choices)
        words.push_back(choice.first);
    const std::string shown = fmt::format("{}", fmt::join(words, "|"));
    const auto option_name = names.rfind("--");
    const std::string name =
        option_name == std::string::npos ? names : "option " + names.substr(option_name);
    return app
        .add_option_function<std::string>(
            names,
            [name, words, choices = std::move(choices), take](const std::string& text) {
                for (const auto& [word, meant] : choices) {
                    if (word == text) return take(meant);
                }
                throw CLI::ValidationError(fmt::format("The {} needs one of {}; {} is none.", name,
                                                       fmt::join(words, ", "), in_quotes(text)));
            },
            description)
        ->type_name(shown);
}

}  // namespace jamsock
