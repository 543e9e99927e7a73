// One table lists every command of `jamsock`. Finding a command, its help, "did you mean" and what
// checks the manual and the completions all read it. To add a command: a row here and a file in
// commands/.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/daemon_launcher.h"
#include "common/result.h"

namespace CLI {
class App;
}

namespace jamsock {

struct Invocation;

// What a command does once its options are read; the exit code, 0 for success.
using VerbRun = std::function<Result<int>(Invocation&)>;

struct Verb {
    std::string_view name;   // "connect"; of a group, "daemon stop"
    std::string_view alias;  // another name, or empty
    std::string_view summary;
    StartRule start;            // whether it may start the daemon
    bool takes_program;         // whether the words after "--" are a program to run
    std::string_view usage;     // what follows the name, with its space: one way on each line
    std::string_view examples;  // one on each line
    VerbRun (*prepare)(CLI::App& options);  // adds the options to `options`, which outlives the run
    // What it exits with if it fails itself, so that the codes of a program that it runs are that
    // program's; 0: with the error's own code. Not of a command in a group.
    int own_failure = 0;
};

std::span<const Verb> command_table();

// The verb whose name or alias is `name`; null if there is none.
const Verb* find_verb(std::string_view name);

// Every name that may follow `group` ("" for the first word, "daemon"), aliases and groups too.
std::vector<std::string> names_in(std::string_view group);

// "jamsock --help", or "jamsock daemon --help" for a group.
std::string table_help(std::string_view group);

}  // namespace jamsock
