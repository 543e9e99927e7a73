// What stays the same over one backend's life: the row in the store, and the file `identity` in
// its directory, from which a lost database is rebuilt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/api_types.h"
#include "common/origin_rule.h"
#include "common/readiness_rule.h"
#include "daemon/known_listener.h"
#include "daemon/proxy/tokens.h"

namespace jamsock {

// What is remembered of a backend that became ready.
struct ReadyMark {
    bool is_ipv6 = false;                        // it listens on [::1], not on 127.0.0.1
    std::optional<KnownListener> listener = {};  // with this; nothing: that couldn't be told
};

struct BackendRecord {
    BackendId id;
    std::uint64_t serial = 0;  // 48 random bits: names the backend inside connection tokens
    MacKey mac_key;
    ServiceName service = ServiceName::standard();
    std::optional<Key> key;
    std::string lock_name;  // in locks/
    std::string mark;       // JAMSOCK_MARK in the backend's environment: finds what escaped
    std::int64_t fencing_token = 0;
    std::int64_t created_at = 0;  // wall milliseconds
    std::optional<std::string> tag;
    Command command;
    std::uint16_t port = 0;
    LifeLimits limits;
    ReadinessRule readiness;
    OriginRule allow_origins = OriginRule::any;
    // With a lifetime: its end, in milliseconds of CLOCK_BOOTTIME.
    std::optional<std::int64_t> expires_at_boot;

    // For the file `identity`.
    std::string encode() const;
    static std::optional<BackendRecord> decode(std::string_view bytes);
};

}  // namespace jamsock
