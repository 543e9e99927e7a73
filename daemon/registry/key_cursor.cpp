#include "daemon/registry/key_cursor.h"

#include <sodium.h>

namespace jamsock {

namespace {

constexpr int base64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

std::string encoded(const std::string& key) {
    std::string text(sodium_base64_ENCODED_LEN(key.size(), base64), '\0');
    ::sodium_bin2base64(text.data(), text.size(),
                        reinterpret_cast<const unsigned char*>(key.data()), key.size(), base64);
    text.pop_back();
    return text;
}

std::optional<Key> decoded(std::string_view text) {
    std::string key(text.size(), '\0');
    std::size_t size = 0;
    const bool sound =
        ::sodium_base642bin(reinterpret_cast<unsigned char*>(key.data()), key.size(), text.data(),
                            text.size(), nullptr, &size, nullptr, base64) == 0;
    key.resize(size);
    const auto parsed = Key::parse(key);
    return sound && parsed ? std::optional(*parsed) : std::nullopt;
}

}  // namespace

std::string KeyCursor::str() const {
    return key ? id.str() + "." + encoded(key->str()) : id.str();
}

Result<KeyCursor> KeyCursor::parse(std::string_view text) {
    const auto dot = text.find('.');
    const auto id = BackendId::parse(text.substr(0, dot));
    const bool has_key = dot != std::string_view::npos;
    const auto key = has_key ? decoded(text.substr(dot + 1)) : std::nullopt;
    if (id && key.has_value() == has_key) return KeyCursor{key, *id};
    return fail(ErrorCode::invalid_request,
                "The parameter 'cursor' must be a 'next_cursor' that the list gave.");
}

}  // namespace jamsock
