#include "common/runtime_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

constexpr long cifs_magic = 0xFF534D42;
constexpr std::array network_file_systems{static_cast<long>(NFS_SUPER_MAGIC),
                                          static_cast<long>(SMB_SUPER_MAGIC),
                                          static_cast<long>(SMB2_SUPER_MAGIC),
                                          static_cast<long>(AFS_SUPER_MAGIC),
                                          static_cast<long>(CEPH_SUPER_MAGIC),
                                          static_cast<long>(V9FS_MAGIC),
                                          cifs_magic};

Result<> refuse(const std::string& path, std::string_view why, std::string hint) {
    return fail(ErrorCode::daemon_unavailable,
                fmt::format("The state directory {} {}.", in_quotes(path), why), std::move(hint));
}

Result<> check_state_directory(int fd, const std::string& path) {
    struct stat status {};
    struct statfs file_system {};
    if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &file_system) != 0) {
        return refuse(path, "can't be examined", {});
    }
    if (status.st_uid != ::geteuid()) {
        return refuse(path, "belongs to another user", "export JAMSOCK_HOME=/a/directory/of/yours");
    }
    if ((status.st_mode & 0077) != 0) {
        return refuse(path, "is open to other users", shell_line({"chmod", "700", path}));
    }
    if (std::ranges::find(network_file_systems, static_cast<long>(file_system.f_type)) !=
        network_file_systems.end()) {
        return refuse(path, "lies on a network file system, where a key's lock can't be trusted",
                      "export JAMSOCK_HOME=/a/local/directory");
    }
    return {};
}

Result<UniqueFd> open_checked(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
        const int error = errno;
        if (error == ENOENT) return UniqueFd();
        const bool symlink = error == ELOOP || error == ENOTDIR;
        auto refused = refuse(path,
                              symlink ? "is no directory, or a symbolic link to one"
                                      : fmt::format("can't be opened: {}", ::strerror(error)),
                              "export JAMSOCK_HOME=/another/directory");
        return pass_on(refused);
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
                    "export JAMSOCK_HOME=/a/directory/of/yours");
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

Result<UniqueFd> open_state_directory(const std::string& path) {
    std::error_code failed;
    fs::create_directories(fs::path(path).parent_path(), failed);
    if (!failed && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        failed = std::error_code(errno, std::generic_category());
    }
    if (failed) {
        auto refused = refuse(path, fmt::format("can't be made: {}", failed.message()),
                              "export JAMSOCK_HOME=/another/directory");
        return pass_on(refused);
    }
    return open_checked(path);
}

Result<UniqueFd> open_existing_state_directory(const std::string& path) {
    return open_checked(path);
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
