// Node programs after Jamsocket's SDKs (support/sdk_client.js), with the validators that these use.
#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/npm_cli.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

void check_scenario(const Home& home, const std::string& scenario) {
    RunOptions options = home.options();
    options.environment.merge(jamsocket_variables(home));
    options.environment["NODE_PATH"] = npm_packages() + "/node_modules";
    options.environment["JAMSOCK"] = JAMSOCK_BUILD_DIR "/bin/jamsock";
    const RunResult result =
        run({"/usr/bin/env", "node", JAMSOCK_TEST_SUPPORT "/sdk_client.js", scenario}, options);
    CAPTURE(scenario);
    INFO(result.err);
    CHECK(result.exit_code == 0);
}

}  // namespace

TEST_CASE("a server connects by the SDK's ways, and is told what is wrong") {
    const Home home;
    check_scenario(home, "connect");
    check_scenario(home, "refusals");
}

TEST_CASE("a server in development needs no token, of a daemon that says so") {
    const Home home;
    std::ofstream(home.path() + "/config.toml") << "dev = true\n";
    check_scenario(home, "dev");
}

TEST_CASE("a server and a page see every status once and in order") {
    const Home home;
    check_scenario(home, "statusStreams");
}

TEST_CASE(
    "a status stream is taken up again after the daemon was stopped, and after it was killed") {
    const Home home;
    check_scenario(home, "restart");
    check_scenario(home, "crash");
}
