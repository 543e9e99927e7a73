// A backend whose shim is gone without the proof that its tree is: from when on to search for its
// survivors, and what to say of those that are left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/backends/survivors.h"
#include "daemon/shim/record.h"

namespace jamsock {

// Nothing of a backend started earlier (clock ticks since boot): its shim's start if the record
// names it, all of time to come if the record is of another boot. Without a record a moment before
// `created_at` (wall milliseconds), as somebody may have set the clock.
std::uint64_t earliest_start(const std::optional<ShimRecord>& record, std::int64_t created_at);

// What holds up the end of a backend with this shim, if that lives, or that is being killed. Looks
// at all processes: for the helper thread.
std::optional<std::string> note_on(const std::optional<Process>& shim,
                                   const std::optional<SurvivorQuery>& being_killed);

}  // namespace jamsock
