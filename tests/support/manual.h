// man/jamsock.1, made of the command line's own tables: it can't tell of an option that isn't
// there.
#pragma once

#include <string>

namespace jamsock::test {

std::string manual();

}  // namespace jamsock::test
