#include "daemon/api/short_body.h"

#include <optional>

#include "common/api_types.h"
#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::string_view counts_units = "jamsocket-cli/";

// Of a character in UTF-8, by its first byte; 0 for a byte that none begins with.
std::size_t bytes_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0;
    if (first < 0xe0) return 2;
    if (first < 0xf0) return 3;
    return first < 0xf5 ? 4 : 0;
}

struct Utf16Length {
    std::size_t units = 0;
    std::size_t open = 0;  // bytes that the last character lacks
};

// Nothing for what is not the beginning of a UTF-8 text.
std::optional<Utf16Length> utf16_length(std::string_view text) {
    Utf16Length length;
    for (const char byte : text) {
        if (length.open > 0) {
            if (!is_continuation(byte)) return std::nullopt;
            --length.open;
            continue;
        }
        const std::size_t size = bytes_of(static_cast<unsigned char>(byte));
        if (size == 0) return std::nullopt;
        length.units += size == 4 ? 2 : 1;
        length.open = size - 1;
    }
    return length;
}

std::optional<std::size_t> declared_length(const Request& request) {
    const std::string* field = request.header("content-length");
    long long length = 0;
    if (!field || !parse_number(*field, length)) return std::nullopt;
    return static_cast<std::size_t>(length);
}

}  // namespace

std::size_t missing_of_utf16_length(std::string_view body, std::size_t declared) {
    const auto length = utf16_length(body);
    if (!length || length->units > declared) return 0;
    return length->open + (declared - length->units);
}

std::size_t missing_bytes(const Request& so_far) {
    const std::string* agent = so_far.header("user-agent");
    if (!agent || !agent->starts_with(counts_units)) return 0;
    const auto declared = declared_length(so_far);
    if (!declared || is_whole_json(so_far.body)) return 0;
    return missing_of_utf16_length(so_far.body, *declared);
}

}  // namespace jamsock
