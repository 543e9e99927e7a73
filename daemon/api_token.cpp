#include "daemon/api_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/api_token.h"
#include "common/runtime_paths.h"
#include "common/token_form.h"
#include "common/unique_fd.h"
#include "daemon/log.h"
#include "daemon/random_word.h"

namespace jamsock {

namespace {

constexpr const char* unfinished = "api-token.new";

// Whole or not at all.
bool keep(int directory, const std::string& text) {
    const UniqueFd file(::openat(directory, unfinished,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    return file &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           ::renameat(directory, unfinished, directory, state_file::api_token) == 0;
}

}  // namespace

std::string kept_or_new_api_token(int directory) {
    if (std::string kept = read_api_token(directory); !kept.empty()) return kept;
    if (::faccessat(directory, state_file::api_token, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        log::warn("the file {} holds no token; a new one takes its place", state_file::api_token);
    }
    const std::string token = std::string(api_token_prefix) + random_word(token_length);
    if (keep(directory, token + "\n")) return token;
    log::error("the API's token can't be kept: {}; until it is, nobody has one", ::strerror(errno));
    return {};
}

}  // namespace jamsock
