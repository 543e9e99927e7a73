#include "common/version.h"

namespace jamsock {

std::string_view version() {
    return JAMSOCK_VERSION;
}

}  // namespace jamsock
