#include "daemon/proxy/revoked_tokens.h"

#include <doctest/doctest.h>

#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::uint32_t issue_time = 1'800'000'000;
constexpr std::int64_t end_of_life = issue_time + timeouts::token_life.count();

ConnectionToken token_of(std::uint32_t time) {
    static const MacKey key = MacKey::generate();
    return ConnectionToken::issue(key, 7, time, true);
}

}  // namespace

TEST_CASE("a revoked token is found by its hash, whoever else was revoked before or after") {
    std::vector<ConnectionToken> tokens;
    RevokedTokens revoked;
    for (int i = 0; i < 100; ++i) {
        tokens.push_back(token_of(issue_time));
        revoked = revoked.with({tokens.back().hash(), tokens.front().hash()});
    }
    for (const ConnectionToken& token : tokens)
        CHECK(revoked.contains(token));
    CHECK_FALSE(revoked.contains(token_of(issue_time)));
    CHECK_FALSE(RevokedTokens().contains(tokens.front()));
}

TEST_CASE("a larger set leaves the one that it was made of as it was") {
    const ConnectionToken token = token_of(issue_time);
    const RevokedTokens none;
    CHECK(none.with({token.hash()}).contains(token));
    CHECK(none.with_expired("ann", end_of_life).contains(token, "ann"));
    CHECK_FALSE(none.contains(token, "ann"));
}

TEST_CASE("of a user's tokens those count that had expired, to the second, and nobody else's") {
    const RevokedTokens revoked = RevokedTokens().with_expired("ann", end_of_life);
    CHECK(revoked.contains(token_of(issue_time), "ann"));
    CHECK_FALSE(revoked.contains(token_of(issue_time + 1), "ann"));
    CHECK_FALSE(revoked.contains(token_of(issue_time), "bob"));
    CHECK_FALSE(revoked.contains(token_of(issue_time)));
    CHECK(revoked.with_expired("ann", end_of_life + 1).contains(token_of(issue_time + 1), "ann"));
    CHECK(revoked.with_expired("ann", end_of_life - 1).contains(token_of(issue_time), "ann"));
    CHECK(revoked.with_expired("bob", end_of_life).contains(token_of(issue_time), "ann"));
}

}  // namespace jamsock
