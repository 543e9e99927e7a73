// JAMSOCK_MARK, by which a backend's processes are found again: 128 random bits, and the state
// directory whose daemon gave them. A copy of that directory has the marks of processes that are
// not its own: what they name is left alone there. Pure.
#pragma once

#include <string>

namespace jamsock {

// Of 128 random bits in hex.
std::string mark_for(const std::string& directory_identity, const std::string& random);

// Whether the mark was given for this directory, or by a version that didn't say.
bool is_marked_for(const std::string& directory_identity, const std::string& mark);

}  // namespace jamsock
