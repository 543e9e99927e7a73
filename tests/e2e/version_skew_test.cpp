// A command line that is newer than the daemon that runs.
#include <doctest/doctest.h>

#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;

TEST_CASE("a newer command line works with an older daemon, and says once how to renew it") {
    const Home home;
    const std::string id = home.output_of({"connect", "-k", "doc", "-o", "name"});
    const std::string older = home.version()->version;
    const RunOptions options = home.options();

    const RunResult found = run({JAMSOCK_NEXT, "lookup", "-k", "doc", "-o", "name"}, options);
    CHECK(found.exit_code == 0);
    CHECK(found.out == id + "\n");
    CHECK(found.err == "jamsock: The daemon is of version " + older +
                           ", this command of 99.0.0.\nTry: jamsock daemon restart\n");

    const RunResult ended = run({JAMSOCK_NEXT, "terminate", "-k", "doc"}, options);
    CHECK(ended.exit_code == 0);
    CHECK(ended.err.find("99.0.0") != std::string::npos);
    CHECK(ended.err.find("99.0.0") == ended.err.rfind("99.0.0"));

    CHECK(home.jamsock({"list"}).err == "");
    CHECK(home.jamsock({"daemon", "restart"}).exit_code == 0);
}
