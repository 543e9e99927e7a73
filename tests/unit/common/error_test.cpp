#include "common/error.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("the table of errors is the contract's") {
    struct Row {
        std::string_view name;
        int http_status;
        int exit_code;
    };
    for (const Row& row :
         {Row{"InvalidRequest", 400, 2}, Row{"InvalidKey", 400, 2}, Row{"ReservedEnvVar", 400, 2},
          Row{"InvalidAuth", 401, 77}, Row{"Forbidden", 403, 77}, Row{"BackendNotFound", 404, 4},
          Row{"ServiceNotFound", 404, 4}, Row{"KeyUnheldNoSpawnConfig", 409, 3},
          Row{"BackendNotRunning", 409, 3}, Row{"KeyHeld", 409, 6}, Row{"Conflict", 409, 6},
          Row{"PayloadTooLarge", 413, 1}, Row{"UsageLimit", 429, 1}, Row{"SpawnFailed", 500, 5},
          Row{"BackendEndedBeforeReady", 502, 5}, Row{"Unsupported", 501, 1},
          Row{"ShuttingDown", 503, 69}}) {
        const ErrorCodeInfo& found = info(error_code_from_name(row.name));
        CHECK(found.name == row.name);
        CHECK(found.http_status == row.http_status);
        CHECK(found.exit_code == row.exit_code);
        CHECK_FALSE(http_reason(found.http_status).empty());
    }
    CHECK(error_code_from_name("NoSuchCode") == ErrorCode::internal);
}
