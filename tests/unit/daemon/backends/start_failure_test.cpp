#include "daemon/backends/start_failure.h"

#include <doctest/doctest.h>
#include <errno.h>

using namespace jamsock;

TEST_CASE("what the machine has run out of is a usage limit, anything else a failed spawn") {
    for (const int cause : {EMFILE, ENFILE, EAGAIN, ENOMEM}) {
        const Error error = start_failure("The shim can't be started", cause);
        CHECK(error.code == ErrorCode::usage_limit);
        CHECK(error.hint == "jamsock list");
    }
    const Error full = start_failure("The directory can't be made", ENOSPC);
    CHECK(full.code == ErrorCode::spawn_failed);
    CHECK(full.message == "The directory can't be made: No space left on device.");
    CHECK(full.hint == "df -h");
    CHECK(start_failure("It can't be read", EACCES).hint == "jamsock daemon logs");
}
