// A key's kernel lock as the worker sees it (DESIGN, The promise, layer 3): its file's name, the
// fencing token that it has seen, and whether anybody holds it. The shim is the one that takes it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/key.h"
#include "common/result.h"
#include "daemon/shim/lock_claim.h"

namespace jamsock::key_lock {

// SHA-256, in hex, of the length-prefixed account, service and key.
std::string file_name(const ServiceName& service, const std::string& key);

// Whether `name` can be one of `file_name`'s.
bool is_file_name(std::string_view name);

// No token that this lock has seen is greater: that in its file, or the floor, if that is greater.
// 0 if neither can be read.
std::int64_t recorded_token(int locks_directory, const std::string& name);

// The same, if that and what follows it can be a token: else one of the two files is damaged, and
// the error (SpawnFailed) names it and a command that puts it aside.
Result<std::int64_t> sound_token(int locks_directory, const std::string& name);

// The claim in the lock's file: who took the key last.
LockClaim last_claim(int locks_directory, const std::string& name);

// The greatest fencing token of all lock files that were swept; 0 if none was.
std::int64_t floor(int locks_directory);

// Raises the floor to `token`; it never falls. When this says true, the floor outlives a power
// cut, so the files of such tokens may go.
bool raise_floor(int locks_directory, std::int64_t token);

struct Inode {
    dev_t device = 0;
    ino_t number = 0;
};
// What the path leads to; nothing if there is no such file.
std::optional<Inode> inode(int locks_directory, const std::string& name);

// Whether some process holds the lock now, or that can't be told; takes and frees it to find out,
// so only for a key that nobody may start at this moment.
bool is_held(int locks_directory, const std::string& name);

// Takes the lock of an open lock file, until that is closed. False if anybody holds it: a backend
// and its shim, or, where the backend has unlocked it, its shim alone (daemon/shim/lock_holder).
bool try_lock(int file);

}  // namespace jamsock::key_lock
