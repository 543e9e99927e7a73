// Finds the program that a command line names, as a shell does.
#pragma once

#include <string>

#include "common/result.h"

namespace jamsock {

// PATH, or what a login has in its place.
std::string program_search_path();

// The absolute path of `name`: itself if it has a slash (below `directory` if it is relative), else
// the first executable file of that name in `search_path` (directories between colons, an empty one
// meaning `directory`). Fails with ProgramNotFound, or ProgramNotRunnable for a file that is not
// executable.
Result<std::string> find_program(const std::string& name, const std::string& directory,
                                 const std::string& search_path);

}  // namespace jamsock
