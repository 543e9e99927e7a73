#include "cli/invocation.h"

namespace jamsock {

Result<ReachedDaemon> Invocation::reach(Deadline deadline) const {
    auto place = DaemonPlace::from_environment();
    if (!place) return pass_on(place);
    return reach_daemon(*place, start, deadline);
}

}  // namespace jamsock
