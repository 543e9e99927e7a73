#include "cli/output_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/choice_option.h"
#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

const Choices<OutputForm> words{
    {"json", OutputForm::json}, {"name", OutputForm::name}, {"wide", OutputForm::wide},
    {"url", OutputForm::url},   {"env", OutputForm::env},
};

// Exact, whatever is in `value`. Within its single quotes fish has escapes, and sh has none.
std::string quoted(const std::string& value, bool for_fish) {
    if (shell_line({value}) == value) return value;
    std::string text = "'";
    for (const char c : value) {
        if (c == '\'') {
            text += for_fish ? "\\'" : "'\\''";
        } else if (c == '\\' && for_fish) {
            text += "\\\\";
        } else {
            text += c;
        }
    }
    return text + '\'';
}

}  // namespace

void add_output_options(CLI::App& app, OutputForm& form, std::initializer_list<OutputForm> forms) {
    const auto is_offered = [&](OutputForm one) {
        return std::ranges::find(forms, one) != forms.end();
    };
    Choices<OutputForm> choices{{"text", OutputForm::text}};
    for (const auto& choice : words) {
        if (is_offered(choice.second)) choices.push_back(choice);
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
