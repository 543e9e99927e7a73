#include "common/mount.h"

#include <fmt/format.h>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::size_t longest_path = 1024;
constexpr std::size_t longest_part = 255;

bool is_plain_part(std::string_view part) {
    return !part.empty() && part != "." && part != ".." && part.size() <= longest_part &&
           part.find('\0') == std::string_view::npos;
}

bool has_plain_parts(std::string_view path) {
    for (;;) {
        const std::size_t slash = path.find('/');
        if (!is_plain_part(path.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

}  // namespace

Result<Mount> Mount::parse(std::string_view path) {
    if (path.size() <= longest_path && has_plain_parts(path)) return Mount(std::string(path));
    return fail(
        ErrorCode::invalid_request,
        fmt::format("The mount {} must be a relative path whose parts are neither empty nor "
                    "'.' nor '..', nor longer than {} bytes.",
                    in_quotes(path.substr(0, longest_path)), longest_part));
}

}  // namespace jamsock
