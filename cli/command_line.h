// A whole call of the program: finds the verb in the table, reads its options, runs it, prints what
// went wrong and says the exit code. main's only callee; tests call it in their own process.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace jamsock {

// `words` are the arguments without the program's name. Returns the exit code (CONTRACT, Errors).
int run_command_line(const std::vector<std::string>& words, Terminal& terminal);

}  // namespace jamsock
