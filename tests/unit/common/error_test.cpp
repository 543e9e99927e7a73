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
          Row{"ShuttingDown", 503, 69}, Row{"StoreBusy", 503, 75}, Row{"StorageFull", 507, 74}}) {
        const ErrorCodeInfo& found = info(error_code_from_name(row.name));
        CHECK(found.name == row.name);
        CHECK(found.http_status == row.http_status);
        CHECK(found.exit_code == row.exit_code);
        CHECK_FALSE(http_reason(found.http_status).empty());
    }
    CHECK(error_code_from_name("NoSuchCode") == ErrorCode::internal);
}

TEST_CASE("others are told what is for anybody, and of failures on this machine nothing else") {
    const auto told = [](const Error& error) {
        Error that_printed = error;
        that_printed.log_tail = {"Cannot find module '/srv/x'"};
        const Error others = told_to_others(that_printed);
        CHECK(others.code == error.code);
        CHECK(others.log_tail.empty());
        return others.message + "|" + others.hint;
    };
    const Error failed{ErrorCode::spawn_failed, "'/srv/x' can't be run.", "ls -l /srv/x", {}};
    CHECK(told(failed) == "The backend could not be started.|");
    CHECK(told(for_anybody(failed)) == "'/srv/x' can't be run.|ls -l /srv/x");
    CHECK(told(for_others(failed, "It can't be run.", "jamsock list")) ==
          "It can't be run.|jamsock list");
    for (const ErrorCode code : {ErrorCode::spawn_failed, ErrorCode::backend_ended_before_ready,
                                 ErrorCode::internal, ErrorCode::daemon_unavailable}) {
        const Error others = told_to_others({code, "It is in /srv/x.", "cat /srv/x", {}});
        CHECK(others.message.find("/srv/x") == std::string::npos);
        CHECK_FALSE(others.message.empty());
        CHECK(others.hint.empty());
    }
    const Error asked{ErrorCode::key_unheld_no_spawn_config,
                      "No backend holds the key '/docs/a'.",
                      "jamsock connect --key /docs/a",
                      {}};
    CHECK(told(asked) == asked.message + "|" + asked.hint);
}
