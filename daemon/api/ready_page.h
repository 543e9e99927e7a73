// The page that a browser shows while a backend starts: it says how far that is, goes to the
// backend's URL at ready, and says in plain words if it has ended. Needs nothing but itself and the
// public status stream; without JavaScript it asks again by itself. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/backend_state.h"
#include "common/ids.h"

namespace jamsock {

struct ReadyPage {
    BackendId id;
    std::string url;                     // with its connection token
    std::vector<StatusChange> statuses;  // so far, at least one

    // `nonce`: the one in ready_page_policy, new for each answer.
    std::string html(const std::string& nonce) const;
};

// Its Content-Security-Policy.
std::string ready_page_policy(const std::string& nonce);

}  // namespace jamsock
