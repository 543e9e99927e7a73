#include "cli/daemon_client.h"

#include <doctest/doctest.h>

#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;
using namespace std::chrono_literals;

namespace {

const std::string version_json =
    R"({"version":"9.9","pid":7,"started_at":"2026-11-23T09:30:00.125Z","proxy_port":9090,"backends":2})";

DaemonClient open_client(const StateDirectory& state) {
    auto client = DaemonClient::open(state.fd());
    REQUIRE(client);
    REQUIRE(*client);
    return std::move(**client);
}

}  // namespace

TEST_CASE("an absent socket and one that refuses mean no daemon, anything else is an error") {
    const StateDirectory state;
    auto absent = DaemonClient::open(state.fd());
    REQUIRE(absent);
    CHECK_FALSE(*absent);

    { const FakeDaemon gone(state, {}); }
    auto refused = DaemonClient::open(state.fd());
    REQUIRE(refused);
    CHECK_FALSE(*refused);

    // A directory that can't be asked proves nothing.
    CHECK_FALSE(DaemonClient::open(-1));
}

TEST_CASE("an answer comes as a type and as the text it was") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, version_json)});
    auto client = open_client(state);
    const auto version = client.version(deadline_in(5s));
    REQUIRE(version);
    CHECK(version->value.proxy_port == 9090);
    CHECK(version->json == version_json);
    CHECK(client.keeper_pid() == 0);  // the connection is closed after the answer
    CHECK(daemon.requests().at(0).starts_with("GET /version HTTP/1.1\r\n"));
}

TEST_CASE("the keeper is who listens on the socket") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {});
    CHECK(open_client(state).keeper_pid() == ::getpid());
}

TEST_CASE("a connection that the daemon closed after an answer is opened again for the next call") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, version_json), answer(200, R"({"keys":[]})")});
    auto client = open_client(state);
    CHECK(client.version(deadline_in(5s)));
    CHECK(client.keys(deadline_in(5s)));
    CHECK(daemon.requests().at(1).starts_with("GET /v2/account/local/keys HTTP/1.1\r\n"));
}

TEST_CASE("a connect names account, service and environment, and waits only if told to") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {});
    const auto service = *ServiceName::parse("editor/staging");
    const ConnectRequest request{.key = *Key::parse("a\"b")};
    for (const bool wait : {true, false}) {
        auto client = open_client(state);
        CHECK_FALSE(client.connect(service, request, wait, deadline_in(5s)));
    }
    CHECK(daemon.requests().at(0).starts_with(
        "POST /v2/service/local/editor/staging/connect?wait=ready HTTP/1.1\r\n"));
    CHECK(daemon.requests().at(0).ends_with("\r\n\r\n{\"key\":\"a\\\"b\"}"));
    CHECK(daemon.requests().at(1).starts_with(
        "POST /v2/service/local/editor/staging/connect HTTP/1.1\r\n"));
}

TEST_CASE("an error answer is the error in it, and no breakdown") {
    const StateDirectory state;
    const Error error{ErrorCode::key_held, "Held.", "jamsock list", {"line"}};
    const FakeDaemon daemon(state, {answer(409, error_json(error, "r1"))});
    auto client = open_client(state);
    const auto version = client.version(deadline_in(5s));
    REQUIRE_FALSE(version);
    CHECK(version.error().code == ErrorCode::key_held);
    CHECK(version.error().hint == "jamsock list");
    CHECK(version.error().log_tail == std::vector<std::string>{"line"});
    CHECK(client.breakdown() == Breakdown::none);
}

TEST_CASE("an answer that is none, or is cut, counts as a lost connection") {
    const StateDirectory state;
    const std::string whole = answer(200, version_json);
    const std::vector<std::string> broken{"", whole.substr(0, 20),
                                          whole.substr(0, whole.size() - 1)};
    const FakeDaemon daemon(state, broken);
    for (const std::string& text : broken) {
        CAPTURE(text);
        auto client = open_client(state);
        const auto version = client.version(deadline_in(5s));
        REQUIRE_FALSE(version);
        CHECK(version.error().code == ErrorCode::daemon_unavailable);
        CHECK(client.breakdown() == Breakdown::connection_lost);
    }
}

TEST_CASE("who answers with garbage is no daemon, and is named") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {"garbage\r\n\r\n"});
    auto client = open_client(state);
    const auto version = client.version(deadline_in(5s));
    REQUIRE_FALSE(version);
    CHECK(version.error().code == ErrorCode::daemon_unavailable);
    CHECK(version.error().message.find(std::to_string(::getpid())) != std::string::npos);
    CHECK(client.breakdown() == Breakdown::not_understood);
}

TEST_CASE("an answer of another meaning is an error of the daemon, not of the user") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, "{}")});
    auto client = open_client(state);
    const auto version = client.version(deadline_in(5s));
    REQUIRE_FALSE(version);
    CHECK(version.error().code == ErrorCode::internal);
}

TEST_CASE("a call ends at its deadline") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {FakeDaemon::silence});
    auto client = open_client(state);
    const auto before = std::chrono::steady_clock::now();
    CHECK_FALSE(client.version(deadline_in(50ms)));
    CHECK(client.breakdown() == Breakdown::deadline_passed);
    CHECK(std::chrono::steady_clock::now() - before >= 50ms);
}

TEST_CASE("a state directory of any length of path is reached") {
    const StateDirectory state;
    const std::string deep = state.path() + "/" + std::string(200, 'd');
    std::filesystem::create_directory(deep);
    std::filesystem::permissions(deep, std::filesystem::perms::owner_all);
    const FakeDaemon daemon(state, {answer(200, version_json)});
    std::filesystem::rename(state.path() + "/" + state_file::socket,
                            deep + "/" + state_file::socket);
    const auto directory = open_existing_state_directory(deep);
    REQUIRE(directory);
    auto client = DaemonClient::open(directory->get());
    REQUIRE(client);
    REQUIRE(*client);
    CHECK((*client)->version(deadline_in(5s)));
}

TEST_CASE("a long wait goes on while the daemon answers others, and ends when it doesn't") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {FakeDaemon::silence, answer(200, version_json),
                                    answer(200, version_json), FakeDaemon::silence});
    auto client = *DaemonClient::open(state.fd(), 50ms).value();
    CHECK_FALSE(client.connect(ServiceName::standard(), {}, true, deadline_in(1h)));
    CHECK(client.breakdown() == Breakdown::deadline_passed);
    CHECK(daemon.requests().size() == 4);
}

TEST_CASE("a status stream gives what has come, then waits until the deadline") {
    const StateDirectory state;
    const FakeDaemon daemon(state,
                            {stream_of({Status::scheduled, Status::ready}) + FakeDaemon::silence});
    auto stream = open_client(state).statuses(*BackendId::parse("knrv5"), deadline_in(5s));
    REQUIRE(stream);
    std::vector<StatusChange> changes;
    while (changes.size() < 2) {
        const auto more = stream->take(deadline_in(5s));
        REQUIRE_FALSE(more.empty());
        changes.insert(changes.end(), more.begin(), more.end());
    }
    CHECK(changes[0].status == Status::scheduled);
    CHECK(changes[1].status == Status::ready);
    CHECK(stream->is_open());
    CHECK(stream->take(deadline_in(20ms)).empty());
    CHECK(stream->is_open());
    CHECK(daemon.requests().at(0).starts_with("GET /v2/backend/knrv5/status/stream HTTP/1.1\r\n"));
}

TEST_CASE("a status stream is over when the daemon ends it, breaks it off, refuses or babbles") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state, {stream_of({Status::ready}) + "0\r\n\r\n", stream_of({Status::ready}), "",
                "garbage\r\n\r\n", failed(ErrorCode::backend_not_running, "Ended.")});
    for (int number = 1; number <= 5; ++number) {
        CAPTURE(number);
        auto stream = open_client(state).hold(*BackendId::parse("knrv5"), deadline_in(5s));
        REQUIRE(stream);
        std::size_t count = 0;
        while (stream->is_open())
            count += stream->take(deadline_in(5s)).size();
        CHECK(count == (number <= 2 ? 1 : 0));
        CHECK(stream->refusal().has_value() == (number == 5));
        CHECK(stream->fd() == -1);
        if (number == 5) CHECK(stream->refusal()->code == ErrorCode::backend_not_running);
    }
}
