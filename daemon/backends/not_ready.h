// The sentence for a backend that was not ready in time: what it did instead, and the way out.
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "common/backend_state.h"
#include "common/error.h"
#include "common/ids.h"
#include "daemon/backends/port_owner.h"

namespace jamsock {

// BackendEndedBeforeReady. `port` is what the backend was told in $PORT; `report` is how things
// stood at the limit.
Error explain_not_ready(const BackendId& id, std::uint16_t port, std::chrono::seconds limit,
                        const PortReport& report);

// The same for one that ended by itself before it was ready, if its port belongs to somebody else;
// nothing if it doesn't.
std::optional<Error> explain_lost_port(const BackendId& id, const ProcessExit& exit,
                                       std::uint16_t port, const PortReport& report);

}  // namespace jamsock
