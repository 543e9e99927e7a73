// The errors of a start that a system call refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/api_types.h"
#include "common/error.h"
#include "common/ids.h"
#include "daemon/shim/message.h"

namespace jamsock {

// UsageLimit where the machine has run out of descriptors, processes or memory, StorageFull where
// the disk or a quota is full, else SpawnFailed.
// `what` was to be done ("The backend's directory can't be made"), `cause` is the call's errno;
// `where` is for this user alone.
Error start_failure(const std::string& what, int cause, const std::string& where = {});

// SpawnFailed, with the sentence `why`.
Error start_failure(std::string why);
// … since its lock has seen this greater fencing token.
Error stale_token(std::int64_t seen);

// The same of what the shim says: a call failed before anything was started, or one of the steps of
// `exec_failure`.
Error failed_call(const Message& told);
Error failed_exec(const Message& told, const ServiceName& service, const Command& command);

// The backend's process could not take `step` ("exec", "chdir", "cgroup") on the way to `command`.
Error exec_failure(std::string_view step, int cause, const ServiceName& service,
                   const Command& command);

}  // namespace jamsock
