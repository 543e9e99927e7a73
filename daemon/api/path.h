// What the parts of an API path name. Pure.
#pragma once

#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "daemon/http/router.h"

namespace jamsock {

// Forbidden unless it is the one account there is, whose default name is '-'.
Result<> check_account(const std::string& account);

// Of a path that names an account, a service and, or not, an environment.
Result<ServiceName> service_in(const PathParameters& path);

}  // namespace jamsock
