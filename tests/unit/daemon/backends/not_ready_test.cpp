#include "daemon/backends/not_ready.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

BackendRecord backend_with(ReadinessRule rule = {}) {
    return {.id = BackendId::parse("abc12").value(),
            .mac_key = MacKey::generate(),
            .service = ServiceName::parse("editor").value(),
            .port = 12345,
            .readiness = std::move(rule)};
}

ReadinessRule waiting_for(ReadySign::Kind kind, const char* text) {
    return {.sign = ReadySign::parse(kind, text, "").value()};
}

// What others are told in place of the cause that this user is told.
std::string public_cause(const PortReport& report, const ReadinessRule& rule = {},
                         const LastLook& look = {}) {
    const Error error = told_to_others(explain_not_ready(backend_with(rule), look, report));
    return error.message.substr(error.message.find(": ") + 2);
}

std::string told(const PortReport& report, const ReadinessRule& rule = {},
                 const LastLook& look = {}, const char* hint = "jamsock status abc12") {
    const Error error = explain_not_ready(backend_with(rule), look, report);
    CHECK(error.code == ErrorCode::backend_ended_before_ready);
    CHECK(error.hint == hint);
    constexpr std::string_view start = "The backend abc12 was not ready within 30 s: ";
    REQUIRE(error.message.starts_with(start));
    return error.message.substr(start.size());
}

}  // namespace

TEST_CASE("a backend that listens nowhere is told where it must") {
    CHECK(public_cause({}) == told({}));
    CHECK(told({}) ==
          "it listens on no port; it must serve HTTP on 127.0.0.1, port $PORT (12345).");
}

TEST_CASE("a backend that listens on other ports is told which they are") {
    CHECK(told({.listeners = {{"127.0.0.1", 3000}}}) ==
          "it listens on port 3000 instead of $PORT 12345: read the port from the environment "
          "variable PORT.");
    CHECK(told({.listeners = {{"0.0.0.0", 3000}, {"::", 3000}, {"::1", 4000}}})
              .starts_with("it listens on ports 3000 and 4000 instead of $PORT 12345"));
    std::vector<Listener> many;
    for (std::uint16_t port = 1; port <= 9; ++port)
        many.push_back({"0.0.0.0", port});
    CHECK(told({.listeners = many})
              .starts_with("it listens on ports 1, 2, 3, 4, 5 and 4 more instead of"));
}

TEST_CASE("a backend on its port, but on an address that 127.0.0.1 doesn't reach, is told so") {
    CHECK(told({.listeners = {{"fe80::1", 12345}}}) ==
          "it listens on [fe80::1]:12345, where 127.0.0.1:12345 doesn't lead: take the address "
          "from the environment variable HOST.");
    CHECK(told({.listeners = {{"0.0.0.0", 80}, {"10.0.0.7", 12345}}})
              .starts_with("it listens on 10.0.0.7:12345, where"));
}

TEST_CASE("a backend that listens rightly and says nothing is told that") {
    CHECK(told({.owner = PortOwner::tree, .listeners = {{"127.0.0.1", 12345}}}) ==
          "it listens on its port 12345 and doesn't answer HTTP there.");
}

TEST_CASE("whose port belongs to another process is told whose, if that can be told") {
    CHECK(told({.owner = PortOwner::stranger, .stranger = NamedProcess{77, "py\x1bthon"}}) ==
          "its port 12345 belongs to another process, 77 ('py\\x1bthon').");
    CHECK(public_cause({.owner = PortOwner::stranger, .stranger = NamedProcess{77, "/srv/x"}}) ==
          "its port 12345 belongs to another process.");
    CHECK(told({.owner = PortOwner::stranger}) == "its port 12345 belongs to another process.");
}

TEST_CASE("a backend whose service waits for a sign is told of that one") {
    const PortReport listening{.owner = PortOwner::tree, .listeners = {{"127.0.0.1", 12345}}};
    const ReadinessRule log = waiting_for(ReadySign::Kind::log, "^up\t$");
    CHECK(told(listening, log, {}, "jamsock service update editor --ready-log REGEX") ==
          "no line of its output matched '^up\\t$'.");

    const ReadinessRule path = waiting_for(ReadySign::Kind::path, "/health");
    CHECK(told(listening, path, {.http_status = 503},
               "jamsock service update editor --ready-path PATH") == "GET /health answered 503.");
    CHECK(told(listening, path) == "it listens on its port 12345 and doesn't answer HTTP there.");
    CHECK(told({}, path).starts_with("it listens on no port;"));

    const ReadinessRule command = waiting_for(ReadySign::Kind::exec, "test -e up");
    const auto after_try = [&](std::optional<LastLook::CommandTry> last) {
        return told(listening, command, {.command = last},
                    "jamsock service update editor --ready-exec COMMAND");
    };
    CHECK(after_try({{{1, std::nullopt}}}) == "the command 'test -e up' exited with code 1.");
    CHECK(after_try({{{std::nullopt, 11}}}).find("was killed by signal 11") != std::string::npos);
    CHECK(after_try({{.was_too_long = true}}) ==
          "the command 'test -e up' did not end within 10 s.");
    CHECK(after_try({}) == "the command 'test -e up' has not ended yet.");

    const LastLook failed{.http_status = 503, .command = {{{1, std::nullopt}}}};
    CHECK(public_cause(listening, log) ==
          "no line of its output matched its service's expression.");
    CHECK(public_cause(listening, path, failed) == "GET /health answered 503.");
    CHECK(public_cause(listening, command, failed) ==
          "its service's readiness command exited with code 1.");
}

TEST_CASE("a backend that gave its sign is told of its port, unless anybody may have that") {
    const ReadinessRule log = waiting_for(ReadySign::Kind::log, "up");
    CHECK(told({}, log, {.has_sign = true}).starts_with("it listens on no port;"));
    CHECK(told({.owner = PortOwner::stranger}, log) ==
          "its port 12345 belongs to another process.");
    ReadinessRule anybodys = log;
    anybodys.port_owner = PortRule::any;
    CHECK(told({.owner = PortOwner::stranger}, anybodys, {},
               "jamsock service update editor --ready-log REGEX")
              .starts_with("no line of its output"));
}

TEST_CASE("a backend that ended early is told of its port only if that is somebody else's") {
    const BackendId id = BackendId::parse("abc12").value();
    const ProcessExit exit{70, std::nullopt};
    CHECK_FALSE(explain_lost_port(id, exit, 12345, {}, {}));
    CHECK_FALSE(explain_lost_port(id, exit, 12345, {}, {.listeners = {{"0.0.0.0", 12345}}}));
    const auto lost =
        explain_lost_port(id, exit, 12345, {},
                          {.owner = PortOwner::stranger, .stranger = NamedProcess{77, "python"}});
    REQUIRE(lost);
    CHECK(lost->code == ErrorCode::backend_ended_before_ready);
    CHECK(lost->message ==
          "The backend abc12 exited with code 70 before it was ready: its port 12345 belongs to "
          "another process, 77 ('python').");
    CHECK(lost->hint == "jamsock status abc12");
    CHECK(told_to_others(*lost).message ==
          "The backend abc12 exited with code 70 before it was ready: its port 12345 belongs to "
          "another process.");
    CHECK(told_to_others(*lost).hint == "jamsock status abc12");

    const auto lost_to_the_gone = explain_lost_port(id, exit, 12345, {.met_stranger = true}, {});
    REQUIRE(lost_to_the_gone);
    CHECK(lost_to_the_gone->message ==
          "The backend abc12 exited with code 70 before it was ready: its port 12345 belongs to "
          "another process.");
}
