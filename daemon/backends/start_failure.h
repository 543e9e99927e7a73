// The error of a start that a system call refused.
#pragma once

#include <string>

#include "common/error.h"

namespace jamsock {

// UsageLimit where the machine has run out of descriptors, processes or memory, else SpawnFailed.
// `what` was to be done ("The backend's directory can't be made"), `cause` is the call's errno.
Error start_failure(const std::string& what, int cause);

}  // namespace jamsock
