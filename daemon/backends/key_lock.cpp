#include "daemon/backends/key_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <charconv>

#include "common/unique_fd.h"

namespace jamsock::key_lock {

std::string file_name(const ServiceName& service, const std::string& key) {
    const std::string text =
        fmt::format("{}:{}{}:{}{}:{}", service.account().size(), service.account(),
                    service.service().size(), service.service(), key.size(), key);
    unsigned char hash[crypto_hash_sha256_BYTES];
    ::crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    char hex[2 * sizeof hash + 1];
    return ::sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
}

std::int64_t recorded_token(int locks_directory, const std::string& name) {
    const UniqueFd file(::openat(locks_directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    char text[32];
    const ssize_t length = file ? ::pread(file.get(), text, sizeof text, 0) : 0;
    std::int64_t token = 0;
    if (length > 0) std::from_chars(text, text + length, token);
    return token;
}

std::optional<Inode> inode(int locks_directory, const std::string& name) {
    struct stat status {};
    if (::fstatat(locks_directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return std::nullopt;
    }
    return Inode{status.st_dev, status.st_ino};
}

bool is_held(int locks_directory, const std::string& name) {
    const UniqueFd file(::openat(locks_directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    return file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

}  // namespace jamsock::key_lock
