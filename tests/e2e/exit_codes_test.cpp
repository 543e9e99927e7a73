// Each exit code of `jamsock help exit-codes`, by the real program.
#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/support/home.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

int code_of(const Home& home, const std::vector<std::string>& words) {
    return home.jamsock(words).exit_code;
}

}  // namespace

TEST_CASE("every exit code means what its topic says") {
    const Home home;
    REQUIRE(code_of(home, {"connect", "-k", "held", "--", test_backend()}) == 0);

    const RunOptions options = home.options();
    const std::string program = JAMSOCK_BUILD_DIR "/bin/jamsock";
    CHECK(run({"/bin/sh", "-c", program + " list > /dev/full"}, options).exit_code == 1);
    CHECK(code_of(home, {"list", "--nothing"}) == 2);
    CHECK(code_of(home, {"connect", "--key="}) == 2);
    CHECK(code_of(home, {"lookup", "-k", "unheld"}) == 3);
    CHECK(code_of(home, {"status", "zzzzz"}) == 4);
    CHECK(code_of(home, {"connect", "nothing", "-k", "a"}) == 4);
    CHECK(code_of(home, {"connect", "-k", "a", "--", "/bin/false"}) == 5);
    CHECK(code_of(home, {"connect", "-k", "held", "--", "/bin/true"}) == 6);
    CHECK(code_of(home, {"connect", "-k", "slow", "--timeout", "0.2", "--", "/bin/sleep", "60"}) ==
          124);
    CHECK(code_of(home, {"exec", "-k", "held", "--", "/bin/sh", "-c", "exit 7"}) == 7);
    CHECK(code_of(home, {"exec", "-k", "held", "--", "/bin/sh", "-c", "kill -9 $$"}) == 128 + 9);
    CHECK(code_of(home, {"exec", "--nothing"}) == 125);
    CHECK(code_of(home, {"exec", "-k", "held", "--", "/etc/hostname"}) == 126);
    CHECK(code_of(home, {"exec", "-k", "held", "--", "no-such-program"}) == 127);
}

TEST_CASE("69: there is no daemon and none may be started; 3: none is running") {
    const Home home;
    RunOptions inside = home.options();
    inside.environment["SESSION_BACKEND_ID"] = "knrv5";
    CHECK(home.jamsock({"connect", "-k", "a"}, inside).exit_code == 69);
    CHECK(code_of(home, {"daemon", "status"}) == 3);
}

TEST_CASE("77: the state directory belongs to another user") {
    const Home home;
    const TemporaryDirectory theirs;
    RunOptions options = home.options();
    options.environment["JAMSOCK_HOME"] = ::geteuid() == 0 ? theirs.path() : "/usr";
    if (::geteuid() == 0) REQUIRE(::chown(theirs.path().c_str(), 65534, 65534) == 0);
    CHECK(home.jamsock({"list"}, options).exit_code == 77);
}
