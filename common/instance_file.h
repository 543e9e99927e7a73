// The file `instance` in the state directory: which directory it was when a daemon last started on
// it. In a copy it says so of the original.
#pragma once

#include <string>

namespace jamsock {

struct Instance {
    std::string directory;  // directory_identity
    std::string path;
    std::string copy_of;  // the original's path, if this is a copy; else empty
};

// Nothing is said where there is no such file.
Instance read_instance(int state_directory);
bool write_instance(int state_directory, const Instance& instance);

}  // namespace jamsock
