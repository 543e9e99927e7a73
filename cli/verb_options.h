// The options of a command: for the parser, and as data for completions and the manual.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/command_table.h"
#include "cli/terminal.h"

namespace jamsock {

// Adds the command's own options and those that every command has.
VerbRun add_options(const Verb& verb, CLI::App& app, std::function<void(ColorRule)> set_color);

struct VerbOption {
    std::vector<std::string> names;  // "-k", "--key"; of a word that is no option, as "SERVICE"
    std::string value;               // "KEY"; "a|b" for one of these; empty for a flag
    std::string about;
    bool is_word = false;
};

struct VerbDescription {
    std::vector<VerbOption> options;
    std::string notes;  // whole lines, or empty
};
VerbDescription describe(const Verb& verb);

}  // namespace jamsock
