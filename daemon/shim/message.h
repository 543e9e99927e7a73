// One message of the channel between the daemon and a shim: a verb and named fields. On the wire it
// is "verb\0name=value\0name=value\0". The protocol is additive: who reads ignores the fields it
// doesn't know, since old shims outlive upgrades. Pure; libc only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock {

class Message {
  public:
    explicit Message(std::string_view verb);

    // Nothing if `bytes` is malformed: no verb, a field without a name, no last NUL.
    static std::optional<Message> decode(std::string_view bytes);
    const std::string& encode() const { return bytes_; }

    std::string_view verb() const;

    // A name may repeat (argv, env). A NUL would end the field, so a value counts up to its first
    // one; names are words of the code, without '='.
    Message& add(std::string_view name, std::string_view value);
    Message& add(std::string_view name, std::int64_t value);

    // The first field of that name. A number is the whole value, in decimal, or nothing.
    std::optional<std::string_view> text(std::string_view name) const;
    std::optional<std::int64_t> number(std::string_view name) const;
    std::vector<std::string> all(std::string_view name) const;

  private:
    std::string bytes_;
};

}  // namespace jamsock
