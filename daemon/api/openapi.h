// The API's description for programs (OpenAPI 3.1): its paths from the table of endpoints, its
// schemas from common/api_schemas.json, which is kept beside the types. Pure.
#pragma once

#include <span>
#include <string>

#include "daemon/http/router.h"

namespace jamsock {

// The same text for the same table. daemon/api/openapi.json is a copy of it for readers.
std::string openapi_json(std::span<const Endpoint> endpoints);

}  // namespace jamsock
