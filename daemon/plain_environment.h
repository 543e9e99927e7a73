// What a program gets of an environment when nobody's shell stands behind it. The command line has
// no use for it: the C library reads the password file through modules that a static program can't
// load.
#pragma once

#include <chrono>

#include "common/environment.h"

namespace jamsock {

// From the user's entry in the password file, with the PATH of a plain login. Without the entry if
// it can't be had within `limit`: it may be asked of a server.
EnvironmentMap plain_environment(std::chrono::milliseconds limit);

}  // namespace jamsock
