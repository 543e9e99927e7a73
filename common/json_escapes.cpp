#include "common/json_escapes.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "common/control_characters.h"

namespace jamsock {

namespace {

// DEL, and the first bytes in UTF-8 of U+0080, U+061C and U+2028.
bool may_begin_control(char byte) {
    return std::string_view("\x7F\xC2\xD8\xE2").find(byte) != std::string_view::npos;
}

// The control character that `text` begins with; 0: none, or no UTF-8.
char32_t leading_control(std::string_view text) {
    if (!may_begin_control(text.front())) return 0;
    const auto* const invalid =
        utf8::find_invalid(text.begin(), std::min(text.begin() + 3, text.end()));
    if (invalid == text.begin()) return 0;
    const char32_t c = utf8::unchecked::peek_next(text.begin());
    return is_control(c) || is_bidirectional_control(c) ? c : 0;
}

}  // namespace

// Outside of strings JSON is ASCII without DEL.
std::string with_controls_escaped(std::string json) {
    if (std::ranges::none_of(json, may_begin_control)) return json;
    std::string escaped;
    for (std::string_view rest = json; !rest.empty();) {
        if (const char32_t c = leading_control(rest); c != 0) {
            fmt::format_to(std::back_inserter(escaped), "\\u{:04x}", static_cast<unsigned>(c));
            const auto* next = rest.begin();
            utf8::unchecked::next(next);
            rest.remove_prefix(static_cast<std::size_t>(next - rest.begin()));
        } else {
            escaped += rest.front();
            rest.remove_prefix(1);
        }
    }
    return escaped;
}

}  // namespace jamsock
