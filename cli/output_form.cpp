#include "cli/output_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cli/choice_option.h"
#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::array<std::pair<std::string_view, OutputForm>, 5> words{{
    {"json", OutputForm::json},
    {"name", OutputForm::name},
    {"wide", OutputForm::wide},
    {"url", OutputForm::url},
    {"env", OutputForm::env},
}};

// Within its single quotes fish has escapes, and sh has none.
std::string quoted_for_fish(const std::string& value) {
    std::string text = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') text += '\\';
        text += c;
    }
    return text + '\'';
}

// Exact, whatever is in `value`.
std::string quoted(const std::string& value, bool for_fish) {
    if (shell_line({value}) == value) return value;
    return for_fish ? quoted_for_fish(value) : single_quoted(value);
}

}  // namespace

void add_output_options(CLI::App& app, OutputForm& form, std::initializer_list<OutputForm> forms) {
    const auto is_offered = [&](OutputForm one) {
        return std::ranges::find(forms, one) != forms.end();
    };
    Choices<OutputForm> choices{{"text", OutputForm::text}};
    for (const auto& choice : words) {
        if (is_offered(choice.second)) choices.emplace_back(choice);
    }
    const auto take = [&form](OutputForm chosen) { form = chosen; };
    add_choice_option<OutputForm>(app, "-o,--output", "The form of the answer", choices, take);
    if (!is_offered(OutputForm::json)) return;
    app.add_flag_callback(
        "--json", [take] { take(OutputForm::json); }, "The same as -o json");
}

std::string shell_assignments(const EnvironmentMap& variables, bool for_fish) {
    std::string lines;
    for (const auto& [name, value] : variables) {
        const std::string quoted_value = quoted(value, for_fish);
        lines += for_fish ? fmt::format("set -gx {} {}\n", name, quoted_value)
                          : fmt::format("export {}={}\n", name, quoted_value);
    }
    return lines;
}

bool shell_is_fish() {
    return environment_variable("SHELL").value_or("").ends_with("/fish");
}

}  // namespace jamsock
