#include "daemon/proxy/tokens.h"

#include <doctest/doctest.h>

#include <set>

#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::uint64_t serial = 0xABCDEF012345;
constexpr std::uint32_t issue_time = 1'800'000'000;
constexpr std::string_view base64url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

TEST_CASE("a token comes back from its text with all it says") {
    const MacKey key = MacKey::generate();
    for (const bool has_identity : {false, true}) {
        const std::string text =
            ConnectionToken::issue(key, serial, issue_time, has_identity).reveal();
        CHECK(text.size() == ConnectionToken::text_size);
        CHECK(text.find_first_not_of(base64url) == std::string::npos);
        const auto token = ConnectionToken::decode(text);
        REQUIRE(token.has_value());
        CHECK(token->serial() == serial);
        CHECK(token->issue_time() == issue_time);
        CHECK(token->has_identity() == has_identity);
        CHECK(token->is_genuine(key));
    }
}

TEST_CASE("no two tokens are the same") {
    const MacKey key = MacKey::generate();
    std::set<std::string> texts;
    for (int i = 0; i < 100; ++i) {
        texts.insert(ConnectionToken::issue(key, serial, issue_time, false).reveal());
    }
    CHECK(texts.size() == 100);
}

TEST_CASE("a token with any bit changed, or of another key, is not genuine") {
    const MacKey key = MacKey::generate();
    const auto issued = ConnectionToken::issue(key, serial, issue_time, false);
    CHECK_FALSE(issued.is_genuine(MacKey::generate()));
    const std::string text = issued.reveal();
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const char other : base64url) {
            if (other == text[at]) continue;
            std::string changed = text;
            changed[at] = other;
            const auto token = ConnectionToken::decode(changed);
            const bool passes = token && token->is_genuine(key);
            CHECK_FALSE(passes);
        }
    }
}

TEST_CASE("only the one canonical text of a token is decoded") {
    const auto token = ConnectionToken::issue(MacKey::generate(), serial, issue_time, false);
    const std::string text = token.reveal();
    CHECK_FALSE(ConnectionToken::decode("").has_value());
    CHECK_FALSE(ConnectionToken::decode(text.substr(1)).has_value());
    CHECK_FALSE(ConnectionToken::decode(text + "A").has_value());
    CHECK_FALSE(ConnectionToken::decode(text + "=").has_value());
    CHECK_FALSE(ConnectionToken::decode(text.substr(0, 42) + "=").has_value());
    CHECK_FALSE(ConnectionToken::decode(text.substr(0, 42) + "+").has_value());
    CHECK_FALSE(ConnectionToken::decode(text.substr(0, 42) + " ").has_value());
    // 43 characters hold two bits more than 32 bytes: spellings that differ only there are refused.
    int spellings = 0;
    for (const char last : base64url) {
        spellings += ConnectionToken::decode(text.substr(0, 42) + last).has_value();
    }
    CHECK(spellings == 16);
}

TEST_CASE("a flag that this version does not know is refused") {
    // The first byte is the first character and two bits of the second.
    CHECK(ConnectionToken::decode(std::string(43, 'A')).has_value());
    CHECK_FALSE(ConnectionToken::decode("C" + std::string(42, 'A')).has_value());
}

TEST_CASE("a token lives for its hour, and one from the future lives too") {
    const auto token = ConnectionToken::issue(MacKey::generate(), serial, issue_time, false);
    const std::int64_t end = issue_time + timeouts::token_life.count();
    CHECK_FALSE(token.is_expired(issue_time));
    CHECK_FALSE(token.is_expired(end - 1));
    CHECK(token.is_expired(end));
    CHECK_FALSE(token.is_expired(0));
}

TEST_CASE("a secret token is one per connection token and key, and says nothing of them") {
    const MacKey key = MacKey::generate();
    const auto token = ConnectionToken::issue(key, serial, issue_time, false);
    const auto other = ConnectionToken::issue(key, serial, issue_time, false);
    const std::string secret = secret_token(key, token);
    CHECK(secret.size() == 43);
    CHECK(secret.find_first_not_of(base64url) == std::string::npos);
    CHECK(secret == secret_token(key, token));
    CHECK(secret != secret_token(key, other));
    CHECK(secret != secret_token(MacKey::generate(), token));
    CHECK(secret != token.reveal());
}

TEST_CASE("a token's hash is the same for the same token alone") {
    const MacKey key = MacKey::generate();
    const auto token = ConnectionToken::issue(key, serial, issue_time, true);
    CHECK(token.hash().size() == 32);
    CHECK(token.hash() == ConnectionToken::decode(token.reveal())->hash());
    CHECK(token.hash() != ConnectionToken::issue(key, serial, issue_time, true).hash());
}

TEST_CASE("a MAC key is made of exactly its bytes") {
    const MacKey key = MacKey::generate();
    CHECK(key.reveal().size() == MacKey::size);
    CHECK(MacKey::from_bytes(key.reveal())->reveal() == key.reveal());
    CHECK(MacKey::generate().reveal() != key.reveal());
    CHECK_FALSE(MacKey::from_bytes(key.reveal().substr(1)).has_value());
    CHECK_FALSE(MacKey::from_bytes(std::string(33, 'x')).has_value());
}

}  // namespace jamsock
