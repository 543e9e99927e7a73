// JAMSOCK_MARK, by which a backend's processes are found again: 128 random bits, and the state
// directory whose daemon gave them. A copy of that directory has the marks of processes that are
// not its own: what they name is left alone there. Pure, but for the look at the directory.
#pragma once

#include <string>

namespace jamsock {

// What a directory (an open one) is and no other: its device and inode. It stays the same where the
// directory is renamed, and after a restart of its daemon. Empty if it can't be told.
std::string directory_identity(int directory);

// Of 128 random bits in hex.
std::string mark_for(const std::string& directory_identity, const std::string& random);

// Whether the mark was given for this directory, or by a version that didn't say.
bool is_marked_for(const std::string& directory_identity, const std::string& mark);

}  // namespace jamsock
