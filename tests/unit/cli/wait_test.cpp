#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

constexpr StatusChange waiting{.status = Status::waiting};
constexpr StatusChange ready{.status = Status::ready};
const StatusChange exited{.status = Status::terminated, .exit = ProcessExit{3, std::nullopt}};

}  // namespace

TEST_CASE("wait asks how the backend stands, and follows its statuses only if it must") {
    const StateDirectory state;
    const FakeDaemon daemon(state,
                            {backend_that({waiting, ready}), backend_that({waiting}),
                             stream_of({Status::scheduled, Status::waiting, Status::ready})});
    const Outcome at_once = call({"wait", "knrv5"});
    CHECK(at_once.exit_code == 0);
    CHECK(at_once.out == "knrv5 ready\n");
    CHECK(call({"wait", "knrv5", "--for", "ready", "-q"}).out == "");
    CHECK(daemon.requests().at(2).starts_with("GET /v2/backend/knrv5/status/stream "));
    CHECK(daemon.requests().size() == 3);
}

TEST_CASE("wait looks again when its stream breaks off, and counts no status twice") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state, {backend_that({ready}), stream_of({Status::ready}), "", backend_that({ready}),
                stream_of({Status::ready, Status::terminated}), backend_that({ready, exited})});
    const Outcome done = call({"wait", "knrv5", "--for", "terminated"});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "knrv5 terminated: exited with code 3\n");
}

TEST_CASE("a backend that ends before it is ready is told of with its last lines") {
    const StateDirectory state;
    std::filesystem::create_directories(state.path() + "/history/knrv5");
    state.write("history/knrv5/output.log", "one\ntwo");
    const FakeDaemon daemon(
        state, {backend_that({waiting}), stream_of({Status::waiting, Status::terminated}),
                backend_that({waiting, exited})});
    const Outcome ended = call({"wait", "knrv5"});
    CHECK(ended.exit_code == 5);
    CHECK(ended.out == "");
    CHECK(ended.err ==
          "jamsock: The backend knrv5 exited with code 3 before it was ready.\n"
          "Last lines of its output:\n    one\n    two\nTry: jamsock status knrv5\n");
}

TEST_CASE("a backend that was ready and has ended runs no more: exit code 3") {
    const StateDirectory state;
    const std::string over = backend_that({ready, exited});
    const FakeDaemon daemon(state, {over, over, over, over});
    const Outcome ended = call({"wait", "knrv5"});
    CHECK(ended.exit_code == 3);
    CHECK(ended.err ==
          "jamsock: The backend knrv5 runs no more: it exited with code 3.\n"
          "Try: jamsock status knrv5\n");
    CHECK(call({"wait", "knrv5", "--for", "idle"}).exit_code == 3);
    CHECK(call({"wait", "knrv5", "--for", "terminated"}).exit_code == 0);
}

TEST_CASE("a key that nobody holds is terminated already, and can't be waited for otherwise") {
    const StateDirectory state;
    CHECK(call({"wait", "--key", "a", "--for", "terminated"}).exit_code == 0);
    CHECK(call({"wait", "--key", "a*", "--for", "terminated"}).out == "");
    CHECK(call({"wait", "--key", "a"}).exit_code == 3);
    CHECK(call({"wait", "--key", "a", "--for", "idle"}).exit_code == 3);
}

TEST_CASE("idle is who has no connection") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {backend_that({ready}, "knrv5", 2),
                                    backend_that({ready}, "knrv5", 1), backend_that({ready})});
    CHECK(call({"wait", "knrv5", "--for", "idle"}).out == "knrv5 idle\n");
    CHECK(daemon.requests().size() == 3);
}

TEST_CASE("wait of a time limit ends with it, and each backend has its own outcome") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state,
        {list_of({held("doc-1", "default", "aaaaa"), held("doc-2", "default", "bbbbb")}),
         backend_that({waiting}, "aaaaa"), stream_of({Status::waiting}) + FakeDaemon::silence,
         backend_that({waiting}, "aaaaa"), backend_that({ready}, "bbbbb")});
    const Outcome late = call({"wait", "--key", "doc-*", "--timeout", "0.05"});
    CHECK(late.exit_code == 124);
    CHECK(late.out == "bbbbb ready\n");
    CHECK(late.err ==
          "jamsock: The backend aaaaa wasn't ready within 0.05 s.\nTry: jamsock status aaaaa\n");
}

TEST_CASE("wait refuses what it can't wait for") {
    const StateDirectory state;
    CHECK(call({"wait"}).exit_code == 2);
    CHECK(call({"wait", "knrv5", "--for", "lunch"}).err.find("ready, terminated, idle") !=
          std::string::npos);
    CHECK(call({"wait", "knrv5", "--timeout", "soon"}).exit_code == 2);
}
