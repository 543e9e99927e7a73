#include "common/runtime_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>

#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

// Those of linux/magic.h, and those that stand in no header for programs.
constexpr std::uint32_t cifs_magic = 0xFF534D42;
constexpr std::uint32_t lustre_magic = 0x0BD00BD0;
constexpr std::uint32_t gfs2_magic = 0x01161970;
constexpr std::uint32_t gpfs_magic = 0x47504653;
constexpr std::uint32_t beegfs_magic = 0x19830326;
constexpr std::uint32_t orangefs_magic = 0x20030528;
constexpr std::array<std::uint32_t, 15> network_file_systems{
    NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  SMB2_SUPER_MAGIC, AFS_SUPER_MAGIC,   AFS_FS_MAGIC,
    CEPH_SUPER_MAGIC, CODA_SUPER_MAGIC, V9FS_MAGIC,       OCFS2_SUPER_MAGIC, cifs_magic,
    lustre_magic,     gfs2_magic,       gpfs_magic,       beegfs_magic,      orangefs_magic,
};

constexpr const char* other_directory = "export JAMSOCK_HOME=/a/directory/of/yours";

tl::unexpected<Error> refuse(const std::string& path, std::string_view why, std::string hint,
                             ErrorCode code = ErrorCode::daemon_unavailable) {
    return fail(code, fmt::format("The state directory {} {}.", in_quotes(path), why),
                std::move(hint));
}

Result<> check_state_directory(int fd, const std::string& path) {
    struct stat status {};
    struct statfs file_system {};
    if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &file_system) != 0) {
        return refuse(path, "can't be examined", {});
    }
    if (status.st_uid != ::geteuid()) {
        return refuse(path, "belongs to another user", other_directory, ErrorCode::forbidden);
    }
    if ((status.st_mode & 0077) != 0) {
        return refuse(path, "is open to other users", shell_line({"chmod", "700", path}));
    }
    if (is_network_file_system(file_system.f_type)) {
        return refuse(path, "lies on a network file system, where a key's lock can't be trusted",
                      "export JAMSOCK_HOME=/a/local/directory");
    }
    return {};
}

// Why a path that must be a directory could not be opened as one.
tl::unexpected<Error> explain_unopened(const std::string& path, int error) {
    std::error_code unreadable;
    const fs::path target = fs::read_symlink(path, unreadable);
    if (!unreadable) {
        return refuse(path, fmt::format("is a symbolic link, to {}", in_quotes(target.string())),
                      target.is_absolute()
                          ? "export " + shell_line({"JAMSOCK_HOME=" + target.string()})
                          : other_directory);
    }
    if (error == ENOTDIR) return refuse(path, "is no directory", other_directory);
    const bool may_pass = error == EMFILE || error == ENFILE || error == ENOMEM;
    return refuse(path, fmt::format("can't be opened: {}", ::strerror(error)), other_directory,
                  may_pass ? ErrorCode::usage_limit : ErrorCode::daemon_unavailable);
}

Result<UniqueFd> open_checked(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT) return UniqueFd();
        return explain_unopened(path, errno);
    }
    if (auto checked = check_state_directory(fd.get(), path); !checked) return pass_on(checked);
    return fd;
}

fs::path own_directory() {
    std::error_code ignored;
    std::string self = fs::read_symlink("/proc/self/exe", ignored).string();
    constexpr std::string_view replaced = " (deleted)";
    if (self.ends_with(replaced)) self.resize(self.size() - replaced.size());
    return fs::path(self).parent_path();
}

}  // namespace

Result<std::string> state_directory_path() {
    std::optional<std::string> path = environment_variable("JAMSOCK_HOME");
    if (!path) {
        if (auto state_home = environment_variable("XDG_STATE_HOME")) {
            path = *state_home + "/jamsock";
        } else if (auto home = environment_variable("HOME")) {
            path = *home + "/.local/state/jamsock";
        }
    }
    if (!path) {
        return fail(ErrorCode::daemon_unavailable,
                    "Neither JAMSOCK_HOME nor HOME is set, so there is no place for the state.",
                    other_directory);
    }
    if (path->front() != '/') {
        return fail(
            ErrorCode::invalid_request,
            fmt::format("The state directory {} is not an absolute path.", in_quotes(*path)),
            "export JAMSOCK_HOME=/an/absolute/path");
    }
    while (path->size() > 1 && path->back() == '/')
        path->pop_back();
    return *path;
}

// As XDG has it, a relative $XDG_CONFIG_HOME counts as none.
std::string configuration_path() {
    constexpr std::string_view name = "config.toml";
    if (auto own = environment_variable("JAMSOCK_HOME")) return fs::path(*own) / name;
    const std::string config_home = environment_variable("XDG_CONFIG_HOME").value_or("");
    if (config_home.starts_with('/')) return fs::path(config_home) / "jamsock" / name;
    const auto home = environment_variable("HOME");
    return home ? fs::path(*home) / ".config" / "jamsock" / name : fs::path();
}

Result<UniqueFd> open_state_directory(const std::string& path) {
    std::error_code failed;
    fs::create_directories(fs::path(path).parent_path(), failed);
    if (!failed && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        failed = std::error_code(errno, std::generic_category());
    }
    if (failed) {
        return refuse(path, fmt::format("can't be made: {}", failed.message()), other_directory);
    }
    return open_checked(path);
}

Result<UniqueFd> open_existing_state_directory(const std::string& path) {
    return open_checked(path);
}

Result<UniqueFd> open_existing_state_directory() {
    const auto path = state_directory_path();
    if (!path) return tl::unexpected(path.error());
    return open_existing_state_directory(*path);
}

std::string directory_identity(int directory_fd) {
    struct stat status {};
    if (::fstat(directory_fd, &status) != 0) return {};
    return fmt::format("{:x}-{:x}", status.st_dev, status.st_ino);
}

bool is_network_file_system(long type) {
    const auto magic = static_cast<std::uint32_t>(type);
    return std::ranges::find(network_file_systems, magic) != network_file_systems.end();
}

std::string path_in(int directory_fd, const std::string& name) {
    return fmt::format("/proc/self/fd/{}/{}", directory_fd, name);
}

std::string daemon_program() {
    return (own_directory() / "jamsockd").string();
}

std::string helper_program(const std::string& name) {
    return (own_directory() / JAMSOCK_LIBEXEC_FROM_BIN / name).lexically_normal().string();
}

}  // namespace jamsock
