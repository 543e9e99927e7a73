// In place of common/version.cpp: a command line that is newer than any daemon.
#include "common/version.h"

namespace jamsock {

std::string_view version() {
    return "99.0.0";
}

}  // namespace jamsock
