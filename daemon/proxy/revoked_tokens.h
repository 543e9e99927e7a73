// The connection tokens of one backend that were revoked: none of them is let in again, and whoever
// was let in with one gets no further request through. Immutable; a larger set is a new one, shared
// with the proxy threads by the backend's Route. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/proxy/tokens.h"

namespace jamsock {

class RevokedTokens {
  public:
    // `user` as the token's identity has it.
    bool contains(const ConnectionToken& token,
                  const std::optional<std::string>& user = std::nullopt) const;

    // These as well, by ConnectionToken::hash().
    RevokedTokens with(const std::vector<std::string>& hashes) const;
    // As well all tokens of the user that have expired by `now` (wall seconds). The store has
    // forgotten them, but connections that they opened may go on.
    RevokedTokens with_expired(const std::string& user, std::int64_t now) const;

  private:
    using Hash = std::array<char, 32>;
    static Hash hash_in(const std::string& bytes);

    std::vector<Hash> hashes_;                             // in order
    std::map<std::string, std::int64_t> expired_by_user_;  // at that time (wall seconds)
};

}  // namespace jamsock
