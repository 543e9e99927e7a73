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

// `names` as CLI11 takes them ("-o,--output"). The description is followed by the words; one that
// is not among them is refused with all that are.
template <class T>
CLI::Option* add_choice_option(CLI::App& app, const std::string& names,
                               const std::string& description, Choices<T> choices,
                               std::function<void(const T&)> take) {
    std::string words;
    for (const auto& choice : choices)
        words += (words.empty() ? "" : ", ") + choice.first;
    const std::string name = names.substr(names.rfind("--"));
    return app.add_option_function<std::string>(
        names,
        [name, words, choices = std::move(choices), take](const std::string& text) {
            for (const auto& [word, meant] : choices) {
                if (word == text) return take(meant);
            }
            throw CLI::ValidationError(fmt::format("The option {} needs one of {}; {} is none.",
                                                   name, words, in_quotes(text)));
        },
        fmt::format("{}: {}", description, words));
}

}  // namespace jamsock
