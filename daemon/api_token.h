// The API's token, made at the first start of a daemon on its state directory.
#pragma once

#include <string>

namespace jamsock {

// The one that is kept, else a new one (0600), in place of what is none (blocks). Empty, and a line
// in the log, if it can't be kept: then nobody has one.
std::string kept_or_new_api_token(int directory);

}  // namespace jamsock
