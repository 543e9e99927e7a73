#include "daemon/backends/key_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/text.h"
#include "common/unique_fd.h"

namespace jamsock::key_lock {

namespace {

constexpr const char* floor_file = "floor";
constexpr const char* new_floor_file = "floor.new";

std::string path_of(int locks_directory, const std::string& name) {
    std::error_code unreadable;
    const auto directory =
        std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", locks_directory), unreadable);
    return directory / name;
}

bool write_durably(int directory, const char* name, const std::string& text) {
    const UniqueFd file(
        ::openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    return file &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           ::fsync(file.get()) == 0;
}

}  // namespace

std::string file_name(const ServiceName& service, const std::string& key) {
    const std::string text =
        fmt::format("{}:{}{}:{}{}:{}", service.account().size(), service.account(),
                    service.service().size(), service.service(), key.size(), key);
    unsigned char hash[crypto_hash_sha256_BYTES];
    ::crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    char hex[2 * sizeof hash + 1];
    return ::sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
}

bool is_file_name(std::string_view name) {
    return name.size() == 2 * crypto_hash_sha256_BYTES &&
           name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// In this order: a file that is gone by now was swept after the floor had been raised to it.
std::int64_t recorded_token(int locks_directory, const std::string& name) {
    const std::int64_t token = last_claim(locks_directory, name).token;
    return std::max(token, floor(locks_directory));
}

Result<std::int64_t> sound_token(int locks_directory, const std::string& name) {
    for (const std::string& file : {name, std::string(floor_file)}) {
        const std::int64_t token = last_claim(locks_directory, file).token;
        if (token < greatest_fencing_token) continue;
        const std::string path = path_of(locks_directory, file);
        return fail(ErrorCode::spawn_failed,
                    fmt::format("The lock file {} is damaged: {} is too great for a fencing token.",
                                in_quotes(path), token),
                    shell_line({"mv", path, path + ".damaged"}));
    }
    return recorded_token(locks_directory, name);
}

LockClaim last_claim(int locks_directory, const std::string& name) {
    const UniqueFd file(::openat(locks_directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    return file ? read_claim(file.get()) : LockClaim{};
}

std::int64_t floor(int locks_directory) {
    return last_claim(locks_directory, floor_file).token;
}

bool raise_floor(int locks_directory, std::int64_t token) {
    const std::int64_t highest = std::max(token, floor(locks_directory));
    return write_durably(locks_directory, new_floor_file, fmt::format("{}\n", highest)) &&
           ::renameat(locks_directory, new_floor_file, locks_directory, floor_file) == 0 &&
           ::fsync(locks_directory) == 0;
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
    if (!file) return errno != ENOENT;
    return !try_lock(file.get());
}

bool try_lock(int file) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::flock(file, LOCK_EX | LOCK_NB) == 0 && ::fcntl(file, F_OFD_GETLK, &whole) == 0 &&
           whole.l_type == F_UNLCK;
}

}  // namespace jamsock::key_lock
