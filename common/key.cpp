#include "common/key.h"

#include <fmt/format.h>
#include <utf8.h>

namespace jamsock {

Result<Key> Key::parse(std::string_view text) {
    if (text.empty()) {
        return fail(ErrorCode::invalid_key, "The key is empty; a key has 1 to 128 characters.");
    }
    const auto invalid = utf8::find_invalid(text.begin(), text.end());
    if (invalid != text.end()) {
        return fail(ErrorCode::invalid_key,
                    fmt::format("The key is not valid UTF-8: byte {} (0x{:02x}) can't stand there.",
                                invalid - text.begin() + 1, static_cast<unsigned char>(*invalid)));
    }
    if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
        return fail(
            ErrorCode::invalid_key,
            fmt::format("The key has the character U+0000 at byte {}; any other is allowed.",
                        nul + 1));
    }
    const auto length = static_cast<std::size_t>(utf8::distance(text.begin(), text.end()));
    if (length > max_code_points) {
        return fail(
            ErrorCode::invalid_key,
            fmt::format("The key has {} characters; the limit is {}, so character {} is one "
                        "too many.",
                        length, max_code_points, max_code_points + 1));
    }
    return Key(std::string(text));
}

}  // namespace jamsock
