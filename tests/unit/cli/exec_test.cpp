#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

const std::string held_open = stream_of({Status::ready}) + FakeDaemon::silence;

Outcome exec(std::vector<std::string> command) {
    command.insert(command.begin(), {"exec", "--key", "doc", "--"});
    return call(command);
}

}  // namespace

TEST_CASE("exec connects, holds the backend, and gives the command's exit code") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5")), held_open});
    const Outcome done = exec({"sh", "-c", "exit 7"});
    CHECK(done.exit_code == 7);
    CHECK(done.err == "");
    const auto requests = daemon.requests();
    CHECK(requests.at(0).starts_with("POST /v2/service/local/default/default/connect?wait=ready "));
    CHECK(requests.at(0).ends_with(R"({"key":"doc"})"));  // the command isn't the backend's
    CHECK(requests.at(1).starts_with("GET /v2/backend/knrv5/hold "));
}

TEST_CASE("exec's own failures are told apart from those of its command") {
    const StateDirectory state;
    const std::string data = state.write("data", "no program");
    const FakeDaemon daemon(state, {failed(ErrorCode::backend_ended_before_ready, "Ended."),
                                    answer(200, connected("knrv5")),
                                    failed(ErrorCode::backend_not_running, "Ended already.")});
    CHECK(exec({"no-such-program"}).exit_code == 127);
    const Outcome refused = exec({data});
    CHECK(refused.exit_code == 126);
    CHECK(refused.err ==
          "jamsock: The file '" + data + "' is not executable.\nTry: chmod +x " + data + "\n");
    CHECK(call({"exec", "--key", "doc", "--no-such-option", "--", "true"}).exit_code == 125);
    const Outcome empty = call({"exec", "--key", "doc"});
    CHECK(empty.exit_code == 125);
    CHECK(empty.err ==
          "jamsock: After '--' must come a command to run.\nTry: jamsock exec --help\n");
    CHECK(daemon.requests().empty());
    CHECK(exec({"true"}).exit_code == 125);
    CHECK(exec({"true"}).exit_code == 125);
    CHECK(daemon.requests().size() == 3);
}

TEST_CASE("a file that the kernel can't run is told of as such") {
    const StateDirectory state;
    const std::string broken = state.write("broken", "no program");
    ::chmod(broken.c_str(), 0700);
    const FakeDaemon daemon(state, {answer(200, connected("knrv5")), held_open});
    const Outcome refused = exec({broken});
    CHECK(refused.exit_code == 126);
    CHECK(refused.err ==
          "jamsock: The program '" + broken + "' can't be run: Exec format error.\n");
}

TEST_CASE("a hold that was lost is asked for again, until the backend has ended") {
    const StateDirectory state;
    const std::string fifo = state.path() + "/fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const FakeDaemon daemon(state,
                            {answer(200, connected("knrv5")), stream_of({Status::ready}), "",
                             failed(ErrorCode::usage_limit, "Too many."),
                             stream_of({Status::ready, Status::terminated}), "never asked for"});
    std::jthread writer([&] {
        test::eventually([&] { return daemon.requests().size() == 5; });
        std::ofstream(fifo) << "go\n";
    });
    CHECK(exec({"sh", "-c", "read line < \"$0\"; exit 3", fifo}).exit_code == 3);
    CHECK(daemon.requests().size() == 5);
}
