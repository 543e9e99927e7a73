// A key's kernel lock as the worker sees it (DESIGN, The promise, layer 3): its file's name, the
// fencing token written in it, and whether anybody holds it. The shim is the one that takes it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/ids.h"
#include "common/key.h"

namespace jamsock::key_lock {

// SHA-256, in hex, of the length-prefixed account, service and key.
std::string file_name(const ServiceName& service, const std::string& key);

// The fencing token in the lock file; 0 if there is no file or nothing readable in it.
std::int64_t recorded_token(int locks_directory, const std::string& name);

struct Inode {
    dev_t device = 0;
    ino_t number = 0;
};
// What the path leads to; nothing if there is no such file.
std::optional<Inode> inode(int locks_directory, const std::string& name);

// Whether some process holds the lock now; takes and frees it to find out, so only for a key that
// nobody may start at this moment.
bool is_held(int locks_directory, const std::string& name);

}  // namespace jamsock::key_lock
