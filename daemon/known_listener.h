// The socket that took connections to a backend's port when it became ready. Whoever listens there
// later is told from it: the same socket, another one of the same user, or a stranger.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace jamsock {

struct KnownListener {
    uid_t user = 0;
    std::uint64_t cookie = 0;  // no other socket has or had it since the machine started
    friend bool operator==(const KnownListener&, const KnownListener&) = default;
};

}  // namespace jamsock
