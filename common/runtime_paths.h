// Where things are at run time: the state directory and what stands in it, and the programs.
#pragma once

#include <string>

#include "common/result.h"
#include "common/unique_fd.h"

namespace jamsock {

// Names inside the state directory.
namespace state_file {
inline constexpr const char* socket = "jamsockd.sock";
inline constexpr const char* database = "jamsock.db";
inline constexpr const char* locks = "locks";
inline constexpr const char* backends = "backends";
inline constexpr const char* history = "history";
inline constexpr const char* mounts = "mounts";
inline constexpr const char* log = "jamsockd.log";
inline constexpr const char* daemon_lock = "daemon.lock";
inline constexpr const char* start_lock = "start.lock";
inline constexpr const char* proxy_port = "proxy-port";
inline constexpr const char* api_port = "api-port";
inline constexpr const char* api_token = "api-token";
inline constexpr const char* instance = "instance";
}  // namespace state_file

// $JAMSOCK_HOME, else $XDG_STATE_HOME/jamsock, else ~/.local/state/jamsock. Absolute.
// Fails if none can be told or the one given is not absolute.
Result<std::string> state_directory_path();

// The user's settings: config.toml in $JAMSOCK_HOME, else in jamsock/ of $XDG_CONFIG_HOME, else
// in ~/.config/jamsock. Empty if none can be told.
std::string configuration_path();

// Opens the state directory, making it (0700) if it is missing. Refuses one that is a symlink, is
// somebody else's, is open to others, or lies on a network file system: there the kernel's locks
// would not hold, or others could reach the socket.
Result<UniqueFd> open_state_directory(const std::string& path);

// The same without making anything; empty if there is none.
Result<UniqueFd> open_existing_state_directory(const std::string& path);
// … at state_directory_path().
Result<UniqueFd> open_existing_state_directory();

// Which directory this (an open one) is and no other: its device and inode. It stays the same where
// the directory is renamed, and is another one for each copy. Empty if it can't be told.
std::string directory_identity(int directory_fd);

// Whether statfs(2) names a file system (f_type) that other machines may share: there a lock of
// this kernel says nothing about them. What FUSE mounts can't be told.
bool is_network_file_system(long type);

// "/proc/self/fd/<directory>/<name>": reaches a name through its open directory, so that no
// path is too long for a socket's address.
std::string path_in(int directory_fd, const std::string& name);

// The absolute path of jamsockd, and of a helper program such as "jamsock-shim", beside the program
// that runs now. Not checked to exist.
std::string daemon_program();
std::string helper_program(const std::string& name);

}  // namespace jamsock
