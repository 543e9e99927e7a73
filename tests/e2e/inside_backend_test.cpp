// jamsock called inside a backend: a daemon started there would end with that backend.
#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// A backend that runs a shell line, writes its outcome, and serves nothing.
std::string run_inside(Home& home, const std::string& line) {
    const std::string outcome = home.path() + "/outcome";
    const std::string script = "(" + line + ") >" + outcome + ".part 2>&1; echo \"exit $?\" >>" +
                               outcome + ".part; mv " + outcome + ".part " + outcome + "; sleep 60";
    home.output_of({"connect", "--key", "outer", "--no-wait", "--", "/bin/sh", "-c", script});
    std::string text;
    REQUIRE(eventually([&] {
        std::ifstream file(outcome);
        text.assign(std::istreambuf_iterator<char>(file), {});
        return !text.empty();
    }));
    return text;
}

}  // namespace

TEST_CASE("inside a backend jamsock starts no daemon") {
    Home home;
    const std::string inner = home.path() + "/inner";
    const std::string program = JAMSOCK_BUILD_DIR "/bin/jamsock";
    const std::string call = "JAMSOCK_HOME=" + inner + " " + program + " connect --key k";

    SUBCASE("told by the environment") {
        const std::string said = run_inside(home, call);
        CHECK(said.find("exit 69") != std::string::npos);
        CHECK(said.find("outside this backend") != std::string::npos);
    }
    SUBCASE("told by its ancestors, with the environment wiped") {
        CHECK(run_inside(home, "env -i PATH=/bin:/usr/bin " + call).find("exit 69") !=
              std::string::npos);
    }
    SUBCASE("nor does jamsockd itself") {
        CHECK(run_inside(home, "JAMSOCK_HOME=" + inner + " " JAMSOCK_BUILD_DIR "/bin/jamsockd")
                  .find("exit 69") != std::string::npos);
    }
    CHECK(keepers_of(inner).empty());
}

TEST_CASE("inside a backend jamsock talks to the daemon that runs") {
    Home home;
    const std::string said =
        run_inside(home, "JAMSOCK_HOME=" + home.path() +
                             " " JAMSOCK_BUILD_DIR "/bin/jamsock connect --key inner");
    CHECK(said.find("http://127.0.0.1:") != std::string::npos);
    CHECK(said.find("exit 0") != std::string::npos);
}

TEST_CASE("a daemon that a backend's tool started in spite of all is gone with the backend") {
    Home home;
    const std::string inner = home.path() + "/inner";
    // jamsockd itself looks at its environment alone, which is wiped here.
    run_inside(home, "env -i PATH=/bin:/usr/bin setsid " JAMSOCK_BUILD_DIR
                     "/bin/jamsockd --state-directory " +
                         inner + " --proxy-port 0 & sleep 0.5");
    REQUIRE(eventually([&] { return keepers_of(inner).size() == 1; }));
    home.output_of({"terminate", "--hard", "--key", "outer"});
    CHECK(keepers_of(inner).empty());
    CHECK(workers_of(inner).empty());
}
