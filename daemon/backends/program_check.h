// Whether a program could be run as a backend, told before anything is started.
#pragma once

#include "common/api_types.h"
#include "common/result.h"
#include "daemon/expendable_threads.h"

namespace jamsock {

// InvalidRequest, naming what is missing, unless `command` is an executable file by its absolute
// path, to be run in a directory by its absolute path.
// Reads the file system: any thread that may hang with it.
Result<> check_program(const Command& command);

// The same on one of `threads`; TimedOut if the file system doesn't answer.
Task<Result<>> check_program(const Command& command, ExpendableThreads& threads);

}  // namespace jamsock
