// The sentence for a backend that was not ready in time: what it did instead, and the way out.
// Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "common/backend_state.h"
#include "common/error.h"
#include "daemon/backends/backend_record.h"
#include "daemon/backends/port_owner.h"
#include "daemon/backends/readiness.h"

namespace jamsock {

// BackendEndedBeforeReady. `look` and `report` are how things stood at the limit.
Error explain_not_ready(const BackendRecord& backend, const LastLook& look,
                        const PortReport& report);

// The same for one whose program does not even run yet.
Error explain_no_program(const BackendRecord& backend);

// The same for one that ended by itself before it was ready, if its port belongs to somebody else,
// or did and that one has gone since; nothing if it doesn't.
std::optional<Error> explain_lost_port(const BackendId& id, const ProcessExit& exit,
                                       std::uint16_t port, const LastLook& look,
                                       const PortReport& report);

}  // namespace jamsock
