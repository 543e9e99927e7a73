// Whether a program could be run as a backend, told before anything is started. Reads the file
// system; any thread.
#pragma once

#include "common/api_types.h"
#include "common/result.h"

namespace jamsock {

// InvalidRequest, naming what is missing, unless `command` is an executable file by its absolute
// path, to be run in a directory by its absolute path.
Result<> check_program(const Command& command);

}  // namespace jamsock
