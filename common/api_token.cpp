#include "common/api_token.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "common/runtime_paths.h"
#include "common/token_form.h"
#include "common/unique_fd.h"

namespace jamsock {

bool is_api_token(std::string_view text) {
    return text.starts_with(api_token_prefix) &&
           has_token_form(text.substr(api_token_prefix.size()));
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
