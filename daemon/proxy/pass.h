// A connection token that a client was let in with. It stays so for its connection, also past its
// expiry, unless it is revoked. On its loop's thread.
#pragma once

#include <memory>
#include <string>

#include "daemon/proxy/proxy_loop.h"

namespace jamsock {

struct Pass {
    std::string text;
    ConnectionToken token;
    std::string secret;
    std::shared_ptr<RouteEntry> entry;
    Identity identity;
    std::shared_ptr<const RevokedTokens> checked = nullptr;  // it is none of these

    // Looks only at those that were revoked since it looked last.
    bool is_revoked() {
        const Route& route = *entry->route;
        if (route.revoked == checked) return false;
        if (route.revokes(token, identity.user)) return true;
        checked = route.revoked;
        return false;
    }
};

}  // namespace jamsock
