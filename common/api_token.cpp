#include "common/api_token.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/runtime_paths.h"
#include "common/unique_fd.h"

namespace jamsock {

namespace {

constexpr std::string_view prefix = "local.";
constexpr std::size_t random_size = 43;

bool is_base64url(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

}  // namespace

bool is_api_token(std::string_view text) {
    return text.size() == prefix.size() + random_size && text.starts_with(prefix) &&
           std::ranges::all_of(text.substr(prefix.size()), is_base64url);
}

std::string read_api_token(int directory) {
    const UniqueFd file(
        ::openat(directory, state_file::api_token, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    std::array<char, 128> buffer;
    const ssize_t size = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
    std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    text.erase(text.find_last_not_of(" \r\n") + 1);
    return is_api_token(text) ? text : std::string();
}

}  // namespace jamsock
