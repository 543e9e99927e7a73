// Connection tokens, which carry their own proof (DESIGN, Threads, tokens, routes), the key that
// proves them, and the secret token derived from both. Pure but for randomness; any thread.
// None of these types can be written to a stream: `reveal` serves the few places that need the
// text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/token_form.h"

namespace jamsock {

// The random key of one backend. One made by default is all zeros, to be assigned to.
class MacKey {
  public:
    static constexpr std::size_t size = 32;

    static MacKey generate();
    static std::optional<MacKey> from_bytes(std::string_view bytes);  // nothing unless of `size`
    std::string_view reveal() const { return {bytes_.data(), bytes_.size()}; }

  private:
    std::array<char, size> bytes_{};
};

class ConnectionToken {
  public:
    static constexpr std::size_t text_size = token_length;
    static constexpr std::uint64_t serial_limit = 1ULL << 48;  // serials are below

    static ConnectionToken issue(const MacKey& key, std::uint64_t backend_serial,
                                 std::uint32_t issue_time_seconds, bool has_identity);
    // Nothing unless `text` is the one canonical form of a token. Proves nothing yet.
    static std::optional<ConnectionToken> decode(std::string_view text);

    std::string reveal() const;

    std::uint64_t serial() const;
    std::uint32_t issue_time() const;          // seconds since 1970
    bool has_identity() const;                 // the store has a user or auth data for it
    bool is_genuine(const MacKey& key) const;  // in constant time
    // Older than timeouts::token_life. One from the future is not: clocks get set back.
    bool is_expired(std::int64_t now_seconds) const;

    std::string hash() const;  // 32 bytes, for the store
    std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }

  private:
    ConnectionToken() = default;
    std::array<char, 32> bytes_{};  // flags 1, issue time 4, serial 6, nonce 5, MAC 16; big-endian
};

// What the backend gets as x-verified-secret, and the caller of connect as secret_token:
// 43 characters, one per connection token.
std::string secret_token(const MacKey& key, const ConnectionToken& token);

}  // namespace jamsock
