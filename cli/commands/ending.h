// Ends backends, several at a time, and says of each how it ended. What `terminate` does, and
// `daemon stop --with-backends` before its own work.
#pragma once

#include <vector>

#include "cli/invocation.h"

namespace jamsock {

// Tells all to end before it waits for the first, so that many take no longer than one; what can't
// be ended stops no other. Prints the outcomes and the errors, those in `ids` too. Gives the worst
// exit code.
int end_backends(const std::vector<Result<BackendId>>& ids, const TerminateRequest& request,
                 bool wait, const Invocation& invocation);

}  // namespace jamsock
