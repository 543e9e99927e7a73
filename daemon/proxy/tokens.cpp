#include "daemon/proxy/tokens.h"

#include <sodium.h>

#include <algorithm>
#include <stdexcept>

#include "common/timeouts.h"

namespace jamsock {

namespace {

// Where things stand in a token's bytes.
constexpr std::size_t flags_at = 0;
constexpr std::size_t time_at = 1;
constexpr std::size_t time_size = 4;
constexpr std::size_t serial_at = 5;
constexpr std::size_t serial_size = 6;
constexpr std::size_t nonce_at = 11;
constexpr std::size_t nonce_size = 5;
constexpr std::size_t mac_at = 16;
constexpr std::size_t mac_size = 16;
constexpr std::size_t token_size = mac_at + mac_size;

constexpr char identity_flag = 1;  // the only flag there is
constexpr std::string_view secret_purpose = "jamsock secret token";

void start_sodium() {
    static const int started = ::sodium_init();
    if (started < 0) throw std::runtime_error("libsodium can't start: there is no randomness");
}

const unsigned char* as_bytes(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

unsigned char* as_bytes(char* text) {
    return reinterpret_cast<unsigned char*>(text);
}

std::uint64_t read_number(std::string_view bytes) {
    std::uint64_t number = 0;
    for (const char byte : bytes)
        number = number << 8 | static_cast<unsigned char>(byte);
    return number;
}

void write_number(std::uint64_t number, char* bytes, std::size_t size) {
    for (std::size_t at = size; at-- > 0; number >>= 8)
        bytes[at] = static_cast<char>(number & 0xFF);
}

// BLAKE2b; keyed unless `key` is empty.
void blake2b(std::string_view text, std::string_view key, char* digest, std::size_t size) {
    ::crypto_generichash(as_bytes(digest), size, as_bytes(text.data()), text.size(),
                         key.empty() ? nullptr : as_bytes(key.data()), key.size());
}

std::string to_base64url(std::string_view bytes) {
    constexpr int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string text(::sodium_base64_encoded_len(bytes.size(), variant), '\0');
    ::sodium_bin2base64(text.data(), text.size(), as_bytes(bytes.data()), bytes.size(), variant);
    text.pop_back();  // sodium's end-of-string
    return text;
}

}  // namespace

MacKey MacKey::generate() {
    start_sodium();
    MacKey key;
    ::randombytes_buf(key.bytes_.data(), key.bytes_.size());
    return key;
}

std::optional<MacKey> MacKey::from_bytes(std::string_view bytes) {
    if (bytes.size() != size) return std::nullopt;
    MacKey key;
    std::ranges::copy(bytes, key.bytes_.begin());
    return key;
}

ConnectionToken ConnectionToken::issue(const MacKey& key, std::uint64_t backend_serial,
                                       std::uint32_t issue_time_seconds, bool has_identity) {
    start_sodium();
    ConnectionToken token;
    char* const bytes = token.bytes_.data();
    bytes[flags_at] = has_identity ? identity_flag : 0;
    write_number(issue_time_seconds, bytes + time_at, time_size);
    write_number(backend_serial, bytes + serial_at, serial_size);
    ::randombytes_buf(bytes + nonce_at, nonce_size);
    blake2b(token.bytes().substr(0, mac_at), key.reveal(), bytes + mac_at, mac_size);
    return token;
}

std::optional<ConnectionToken> ConnectionToken::decode(std::string_view text) {
    if (text.size() != text_size) return std::nullopt;
    ConnectionToken token;
    std::size_t size = 0;
    // Also refuses a last character whose spare bits are not zero, a second spelling.
    const int failed =
        ::sodium_base642bin(as_bytes(token.bytes_.data()), token_size, text.data(), text.size(),
                            nullptr, &size, nullptr, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (failed || size != token_size || (token.bytes_[flags_at] & ~identity_flag) != 0) {
        return std::nullopt;
    }
    return token;
}

std::string ConnectionToken::reveal() const {
    return to_base64url(bytes());
}

std::uint64_t ConnectionToken::serial() const {
    return read_number(bytes().substr(serial_at, serial_size));
}

std::uint32_t ConnectionToken::issue_time() const {
    return static_cast<std::uint32_t>(read_number(bytes().substr(time_at, time_size)));
}

bool ConnectionToken::has_identity() const {
    return (bytes_[flags_at] & identity_flag) != 0;
}

bool ConnectionToken::is_genuine(const MacKey& key) const {
    std::array<char, mac_size> mac;
    blake2b(bytes().substr(0, mac_at), key.reveal(), mac.data(), mac.size());
    return ::sodium_memcmp(mac.data(), bytes_.data() + mac_at, mac_size) == 0;
}

bool ConnectionToken::is_expired(std::int64_t now_seconds) const {
    return now_seconds - std::int64_t{issue_time()} >= timeouts::token_life.count();
}

std::string ConnectionToken::hash() const {
    std::string digest(crypto_generichash_BYTES, '\0');
    blake2b(bytes(), {}, digest.data(), digest.size());
    return digest;
}

std::string secret_token(const MacKey& key, const ConnectionToken& token) {
    std::string text(secret_purpose);
    text += token.bytes();
    std::array<char, token_size> secret;
    blake2b(text, key.reveal(), secret.data(), secret.size());
    return to_base64url({secret.data(), secret.size()});
}

}  // namespace jamsock
