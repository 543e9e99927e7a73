// A backend as the registry keeps it until it has ended. Private to daemon/registry.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/unique_fd.h"
#include "daemon/registry/registry.h"

namespace jamsock {

inline constexpr int most_starts = 3;  // of a backend whose port is taken by somebody else

struct Registry::Entry {
    Entry(const BackendRecord& known, BootNow now)
        : record(known), activity(std::make_shared<Activity>(now)) {}

    const BackendRecord record;
    // Its row is on its way to the store: it has the key already, and nobody hears of it before it
    // is there. `refusal`: it never came there, and this is over.
    bool is_acquiring = false;
    std::optional<Error> refusal;
    std::optional<Termination> wanted_end;  // asked for meanwhile
    ReadyMark ready;                        // once it is
    std::vector<StatusChange> statuses;
    const std::shared_ptr<Activity> activity;
    // Those that have expired stay: a connection that one opened may last as long as the backend.
    std::shared_ptr<const RevokedTokens> revoked;
    std::optional<Error> failure;        // why it never came up
    bool lost_port = false;              // … and that is its port
    int start_number = 1;                // above 1: in place of one that lost its port
    std::optional<Deadline> started_at;  // if this daemon started it
    // When an ending that was asked for is over, if all goes well.
    std::optional<Deadline> end_by;
    Event changed;

    Status status() const { return statuses.back().status; }
    // `enlarge` makes the new set of the one before.
    template <class Enlarge>
    void revoke(Enlarge enlarge) {
        revoked =
            std::make_shared<const RevokedTokens>(enlarge(revoked ? *revoked : RevokedTokens()));
    }
};

}  // namespace jamsock
