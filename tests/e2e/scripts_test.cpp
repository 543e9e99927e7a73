// jamsock in shell scripts, as CI has them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;

TEST_CASE("a strict script with keys that are hard to quote works in bash and in dash") {
    for (const char* shell : {"/bin/bash", "/bin/dash"}) {
        CAPTURE(shell);
        const Home home;
        RunOptions options = home.options();
        options.environment["PATH"] =
            fmt::format("{}/bin:{}", JAMSOCK_BUILD_DIR, options.environment["PATH"]);
        options.environment["TEST_BACKEND"] = test_backend();
        const RunResult done = run({shell, JAMSOCK_TEST_SUPPORT "/job.sh"}, options);
        CHECK_MESSAGE(done.exit_code == 0, done.err);
        CHECK(done.out.ends_with("all is well\n"));
    }
}
