// What the proxy knows of one backend. Immutable: a change is a new Route, handed over as
// shared_ptr<const Route>, so that threads share it without locks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/ids.h"
#include "daemon/known_listener.h"
#include "daemon/proxy/activity.h"
#include "daemon/proxy/revoked_tokens.h"
#include "daemon/proxy/tokens.h"

namespace jamsock {

struct Route {
    enum class State {
        pending,  // requests are held
        ready,    // … forwarded
        ending,   // … refused
    };

    BackendId id;
    std::uint64_t serial = 0;  // the one in its connection tokens
    MacKey key;
    State state = State::pending;
    std::uint16_t port = 0;
    bool is_ipv6 = false;                        // the backend listens on [::1], not on 127.0.0.1
    std::optional<KnownListener> listener = {};  // who else does is no backend; nothing: unknown
    bool startup_limit_passed = false;           // it ends because it never became ready
    std::shared_ptr<Activity> activity;
    std::shared_ptr<const RevokedTokens> revoked;  // null: none
    bool refuses_foreign_origins = false;

    bool is_where(const Route& other) const {
        return port == other.port && is_ipv6 == other.is_ipv6 && listener == other.listener;
    }
    // `user` as the token's identity has it.
    bool revokes(const ConnectionToken& token, const std::optional<std::string>& user) const {
        return revoked && revoked->contains(token, user);
    }
};

}  // namespace jamsock
