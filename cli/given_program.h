// A program that a command line gives behind "--": run as its caller would run it.
#pragma once

#include <string>
#include <vector>

#include "common/api_types.h"

namespace jamsock {

struct GivenProgram {
    Command command;
    EnvironmentMap base_environment;  // the caller's
};

// `words` with the program's absolute path, in `directory` (relative to the working directory),
// where a relative program is looked for. SpawnFailed if there is no such program, InvalidRequest
// if there is no such directory or a word can't go into JSON.
Result<GivenProgram> given_program(std::vector<std::string> words,
                                   const std::string& directory = ".");

}  // namespace jamsock
