// What the log says of a failed request: nothing that may be a secret. Pure.
#pragma once

#include <string>

#include "common/error.h"

namespace jamsock {

// "KeyHeld: The key is held by …", with the cause: without the path that nothing answers, which may
// be one with a token, a little wrong; and "…" stands for words as long as a token, which somebody
// may have given in the place of an id.
std::string told_in_log(const Error& error);

}  // namespace jamsock
