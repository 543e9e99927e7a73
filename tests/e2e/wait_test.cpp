// `jamsock wait` through the real programs.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <optional>

#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

std::string begun(const Home& home, const std::string& key, std::vector<std::string> program) {
    program.insert(program.begin(), {"connect", "-o", "name", "--no-wait", "--key", key, "--"});
    return home.output_of(program);
}

}  // namespace

TEST_CASE("wait for ready ends when the backend is, or can't be any more") {
    const Home home;
    const std::string slow = begun(home, "slow", {test_backend(), "--slow-start", "300"});
    const RunResult ready = home.jamsock({"wait", "--key", "slow"});
    CHECK(ready.exit_code == 0);
    CHECK(ready.out == slow + " ready\n");
    CHECK(home.jamsock({"wait", slow, "-q"}).out == "");

    const std::string bad = begun(home, "bad", {"sh", "-c", "sleep 0.2; echo no luck; exit 3"});
    const RunResult ended = home.jamsock({"wait", bad});
    CHECK(ended.exit_code == 5);
    CHECK(ended.out == "");
    CHECK(ended.err.find(bad + " exited with code 3 before it was ready") != std::string::npos);
    CHECK(ended.err.find("no luck") != std::string::npos);

    begun(home, "never", {test_backend(), "--never-listen"});
    const RunResult late = home.jamsock({"wait", "--key", "never", "--timeout", "0.3"});
    CHECK(late.exit_code == 124);
    CHECK(late.err.find("wasn't ready within 0.3 s") != std::string::npos);

    CHECK(home.jamsock({"wait", "--key", "nobody"}).exit_code == 3);
    CHECK(home.jamsock({"wait", "nobody"}).exit_code == 4);
}

TEST_CASE("wait for terminated ends with the last of all that are meant, over a new worker, too") {
    const Home home;
    const std::string one = begun(home, "doc-1", {test_backend()});
    const std::string two = begun(home, "doc-2", {test_backend()});
    const std::string other = begun(home, "other", {test_backend()});
    home.output_of({"wait", "--key", "*"});
    Child waiting = home.start_jamsock({"wait", "--key", "doc-*", "--for", "terminated"});
    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    REQUIRE(eventually([&] { return home.worker() != 0 && home.worker() != worker; }));
    home.output_of({"daemon", "restart"});
    home.output_of({"kill", "--key", "doc-2"});
    CHECK(is_running(waiting.pid()));
    home.output_of({"stop", "--key", "doc-1"});
    const RunResult done = waiting.wait();
    CHECK(done.exit_code == 0);
    CHECK(done.out == one + " terminated: was killed by signal 15 (TERM)\n" + two +
                          " terminated: was killed by signal 9 (KILL)\n");
    CHECK(home.keys().size() == 1);
    CHECK(home.keys().at(0).backend_id.str() == other);

    const RunResult unheld = home.jamsock({"wait", "--key", "doc-*", "--for", "terminated"});
    CHECK(unheld.exit_code == 0);
    CHECK(unheld.out == "");
    CHECK(home.jamsock({"wait", one, "--for", "terminated"}).exit_code == 0);
    CHECK(home.jamsock({"wait", one}).exit_code == 3);
}

TEST_CASE("wait for idle ends when nobody uses the backend") {
    const Home home;
    const std::string id = begun(home, "doc", {test_backend()});
    home.output_of({"wait", id});
    std::optional<EventStream> hold(std::in_place, home, fmt::format("/v2/backend/{}/hold", id));
    REQUIRE(hold->is_accepted());
    CHECK(home.jamsock({"wait", id, "--for", "idle", "--timeout", "0.3"}).exit_code == 124);
    Child waiting = home.start_jamsock({"wait", "--key", "doc", "--for", "idle"});
    hold.reset();
    const RunResult idle = waiting.wait();
    CHECK(idle.exit_code == 0);
    CHECK(idle.out == id + " idle\n");
    home.output_of({"stop", id});
    CHECK(home.jamsock({"wait", id, "--for", "idle"}).exit_code == 3);
}
