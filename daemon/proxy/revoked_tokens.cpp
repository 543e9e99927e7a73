#include "daemon/proxy/revoked_tokens.h"

#include <algorithm>

namespace jamsock {

RevokedTokens::Hash RevokedTokens::hash_in(const std::string& bytes) {
    Hash hash{};
    bytes.copy(hash.data(), hash.size());
    return hash;
}

bool RevokedTokens::contains(const ConnectionToken& token,
                             const std::optional<std::string>& user) const {
    if (std::ranges::binary_search(hashes_, hash_in(token.hash()))) return true;
    if (!user) return false;
    const auto expired = expired_by_user_.find(*user);
    return expired != expired_by_user_.end() && token.is_expired(expired->second);
}

RevokedTokens RevokedTokens::with(const std::vector<std::string>& hashes) const {
    RevokedTokens larger = *this;
    for (const std::string& bytes : hashes)
        larger.hashes_.push_back(hash_in(bytes));
    std::ranges::sort(larger.hashes_);
    const auto twice = std::ranges::unique(larger.hashes_);
    larger.hashes_.erase(twice.begin(), twice.end());
    return larger;
}

RevokedTokens RevokedTokens::with_expired(const std::string& user, std::int64_t now) const {
    RevokedTokens larger = *this;
    std::int64_t& time = larger.expired_by_user_.try_emplace(user, now).first->second;
    time = std::max(time, now);
    return larger;
}

}  // namespace jamsock
