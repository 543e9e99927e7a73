// The errors of a start that a system call refused.
#pragma once

#include <string>
#include <string_view>

#include "common/api_types.h"
#include "common/error.h"
#include "common/ids.h"

namespace jamsock {

// UsageLimit where the machine has run out of descriptors, processes or memory, else SpawnFailed.
// `what` was to be done ("The backend's directory can't be made"), `cause` is the call's errno;
// `where` is for this user alone.
Error start_failure(const std::string& what, int cause, const std::string& where = {});

// The backend's process could not take `step` ("exec", "chdir", "cgroup") on the way to `command`.
Error exec_failure(std::string_view step, int cause, const ServiceName& service,
                   const Command& command);

}  // namespace jamsock
