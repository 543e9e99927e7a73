// The forms that a command's answer can have, as options: -o FORM, --json, and -q.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>

#include "common/api_types.h"

namespace jamsock {

enum class OutputForm {
    text,  // for people; in a pipe, lines for scripts
    json,  // the API's answer as it came
    name,  // ids or names alone, one on each line
    wide,  // text with more columns
    url,   // the connection URL alone
    env,   // lines for a shell's eval
};

// Adds -o, and --json where it is among `forms`, which the command has beside `text`.
void add_output_options(CLI::App& app, OutputForm& form, std::initializer_list<OutputForm> forms);

// Lines that set the variables in the user's shell: in fish's words if $SHELL is fish, else as
// sh, bash and zsh read them.
std::string shell_assignments(const EnvironmentMap& variables, bool for_fish);
bool shell_is_fish();

}  // namespace jamsock
