// `history`, `why` and `events` against a scripted daemon.
#include <doctest/doctest.h>

#include <filesystem>

#include "cli/render.h"
#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

HistoryEntry entry(const char* backend, StatusChange status) {
    return {.id = cli_test::id(backend),
            .key = Key::parse("doc").value(),
            .created_at = 1'000'000,
            .status = std::move(status)};
}

std::string history_of(std::vector<HistoryEntry> entries) {
    return answer(200, KeyHistory{std::move(entries)}.to_json());
}

std::string no_backend() {
    return failed(ErrorCode::backend_not_found, "There is no backend.");
}

StatusEvent event(std::int64_t cursor, const char* key, const char* service = "default") {
    StatusEvent made{.cursor = cursor,
                     .backend_id = cli_test::id("b1"),
                     .service = ServiceName::parse(service).value(),
                     .change = {.status = Status::ready}};
    if (*key) made.key = Key::parse(key).value();
    return made;
}

std::string events_of(std::vector<StatusEvent> events, std::int64_t cursor) {
    return answer(200, EventList{std::move(events), cursor}.to_json());
}

// "GET /v2/…"
std::string target_of(const std::string& request) {
    return request.substr(0, request.find(" HTTP"));
}

}  // namespace

TEST_CASE("a key's history is a table for people and lines for scripts") {
    HistoryEntry swept = entry("b1", {.status = Status::terminated,
                                      .time = 1'061'500,
                                      .reason = TerminationReason::swept,
                                      .kind = TerminationKind::soft,
                                      .exit = ProcessExit{0, std::nullopt},
                                      .cause = EndCause::idle});
    swept.ready_at = 1'000'412;
    const KeyHistory history{{entry("b22", {.status = Status::waiting}), swept}};
    CHECK(render_history_table(history, 1'100'000) ==
          "BACKEND  STATUS      STARTED    READY  LIVED  END\n"
          "b22      waiting     100 s ago  -      100 s  -\n"
          "b1       terminated  100 s ago  0.4 s  61 s   exited with code 0 (idle)\n");
    CHECK(render_history_rows(history, 1'100'000) ==
          "b22\twaiting\t100\t-\t100.000\t-\n"
          "b1\tterminated\t100\t0.412\t61.500\texited with code 0 (idle)\n");
    swept.status.exit = ProcessExit{std::nullopt, 15};
    swept.status.cause.reset();
    CHECK(render_history_rows({{swept}}, 0).ends_with("\tkilled by TERM (swept)\n"));
    swept.status.exit.reset();
    swept.status.reason = TerminationReason::lost;
    CHECK(render_history_rows({{swept}}, 0).ends_with("\tunseen (lost)\n"));
}

TEST_CASE("history asks for the key, its service and so many, and prints what is wanted") {
    const StateDirectory state;
    const std::vector<HistoryEntry> two{entry("b2", {}), entry("b1", {})};
    const FakeDaemon daemon(state, {history_of(two), history_of(two), history_of(two)});
    CHECK(call({"history", "a b", "-q"}).out == "b2\nb1\n");
    CHECK(call({"history", "-k", "doc", "editor", "-n", "7", "-o", "json"}).out ==
          KeyHistory{two}.to_json() + "\n");
    CHECK(call({"history", "doc", "-s", "editor/staging"}).out.starts_with("b2\tscheduled\t"));
    const auto requests = daemon.requests();
    CHECK(target_of(requests[0]) ==
          "GET /v2/account/local/history?service=default&key=a%20b&limit=1000");
    CHECK(target_of(requests[1]) == "GET /v2/account/local/history?service=editor&key=doc&limit=7");
    CHECK(target_of(requests[2]) ==
          "GET /v2/account/local/history?service=editor&key=doc&limit=1000");
}

TEST_CASE("a key without history is no such backend: exit code 4") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {history_of({}), no_backend(), history_of({})});
    for (const char* verb : {"history", "why"}) {
        const Outcome none = call({verb, "doc"});
        CHECK(none.exit_code == 4);
        CHECK(none.err ==
              "jamsock: No backend of the key 'doc' is remembered.\n"
              "Try: jamsock connect --key doc\n");
    }
}

TEST_CASE("without a daemon nothing is remembered: exit code 69") {
    const StateDirectory state;
    for (const char* verb : {"history", "why"}) {
        const Outcome none = call({verb, "doc"});
        CHECK(none.exit_code == 69);
        CHECK(none.err.ends_with("Try: jamsock daemon start\n"));
    }
    CHECK(call({"events"}).exit_code == 69);
    CHECK(call({"events", "-f"}).exit_code == 69);
}

TEST_CASE("history and why are told what is missing or too much") {
    const StateDirectory state;
    for (const char* verb : {"history", "why"}) {
        CHECK(call({verb}).err.find("Give a key, or --key KEY.") != std::string::npos);
        CHECK(call({verb, ""}).exit_code == 2);
        CHECK(call({verb, "--key="}).exit_code == 2);
        CHECK(call({verb, "editor", "-k", "doc", "-s", "editor"}).err.find("given twice") !=
              std::string::npos);
        CHECK(call({verb, "doc", "-s", "/"}).exit_code == 2);
    }
    CHECK(call({"history", "doc", "-n", "0"}).exit_code == 2);
}

TEST_CASE("why takes a word for an id if there is such a backend, and else for a key") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {ended("knrv5"), no_backend(), history_of({entry("b1", {})}),
                                    ended("b1"), history_of({entry("b2", {})}), ended("b2")});
    CHECK(call({"why", "knrv5"}).out.starts_with("The backend knrv5 ended by itself"));
    CHECK(call({"why", "doc"}).out.starts_with("The backend b1 "));
    CHECK(call({"why", "-k", "knrv5"}).out.starts_with("The backend b2 "));
    const auto requests = daemon.requests();
    REQUIRE(requests.size() == 6);
    CHECK(target_of(requests[1]) == "GET /v2/backend/doc");
    CHECK(target_of(requests[2]) ==
          "GET /v2/account/local/history?service=default&key=doc&limit=1");
    CHECK(target_of(requests[3]) == "GET /v2/backend/b1");
    CHECK(target_of(requests[4]) ==
          "GET /v2/account/local/history?service=default&key=knrv5&limit=1");
}

TEST_CASE("why tells the last 20 lines of output, as the state directory has them") {
    const StateDirectory state;
    std::filesystem::create_directories(state.path() + "/history/knrv5");
    std::string lines;
    for (int i = 1; i <= 30; ++i)
        lines += "line " + std::to_string(i) + "\n";
    state.write("history/knrv5/output.log", lines + "\x1b[1mno end");
    const FakeDaemon daemon(state, {ended("knrv5"), ended("knrv5")});
    const Outcome text = call({"why", "knrv5"});
    CHECK(text.exit_code == 0);
    CHECK(text.out.find("Last lines of its output:\n    line 12\n") != std::string::npos);
    CHECK(text.out.find("    line 30\n    \\x1b[1mno end\nTry: ") != std::string::npos);
    const Outcome json = call({"why", "knrv5", "--json"});
    CHECK(json.out.find(R"("line 30","\u001b[1mno end"])") != std::string::npos);
}

TEST_CASE(
    "events are printed to the last, each as the API has it, and asked for behind the cursor") {
    const StateDirectory state;
    const std::vector<StatusEvent> first{event(5, "doc"), event(6, "")};
    const FakeDaemon daemon(
        state, {events_of(first, 6), events_of({event(9, "room")}, 9), events_of({}, 9)});
    const Outcome all = call({"events"});
    CHECK(all.exit_code == 0);
    CHECK(all.out == first[0].to_json() + "\n" + first[1].to_json() + "\n" +
                         event(9, "room").to_json() + "\n");
    CHECK(all.out.starts_with(R"({"cursor":"5","backend_id":"b1","service_name":"default",)"
                              R"("environment_name":"default","key":"doc","status":"ready",)"));
    const auto requests = daemon.requests();
    REQUIRE(requests.size() == 3);
    CHECK(target_of(requests[0]) == "GET /v2/account/local/events?since=0&wait=0");
    CHECK(target_of(requests[1]) == "GET /v2/account/local/events?since=6&wait=0");
    CHECK(target_of(requests[2]) == "GET /v2/account/local/events?since=9&wait=0");
}

TEST_CASE("events of some keys or of a service leave the others out") {
    const StateDirectory state;
    const std::string all = events_of(
        {event(1, "doc-1"), event(2, "doc-2"), event(3, ""), event(4, "doc-1", "editor/x")}, 4);
    const FakeDaemon daemon(state, {all, events_of({}, 4), all, events_of({}, 4)});
    const auto cursors = [](const std::string& out) {
        std::string found;
        constexpr std::string_view name = R"({"cursor":")";
        for (auto at = out.find(name); at != std::string::npos; at = out.find(name, at + 1))
            found += out[at + name.size()];
        return found;
    };
    CHECK(cursors(call({"events", "-k", "doc-[1]"}).out) == "14");
    CHECK(cursors(call({"events", "-k", "doc*", "-s", "editor"}).out) == "4");
}

TEST_CASE("events begin where --since says: a time or a cursor") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {events_of({}, 0), events_of({}, 0)});
    CHECK(call({"events", "--since", "1764439200123"}).exit_code == 0);
    CHECK(call({"events", "--since", "1970-01-01T00:00:10Z"}).exit_code == 0);
    CHECK(call({"events", "--since", "30"}).exit_code == 2);
    const auto requests = daemon.requests();
    REQUIRE(requests.size() == 2);
    CHECK(target_of(requests[0]) == "GET /v2/account/local/events?since=1764439200123&wait=0");
    CHECK(target_of(requests[1]) == "GET /v2/account/local/events?since=9999&wait=0");
}

TEST_CASE(
    "a follower begins now, goes on after a lost connection, and ends with an error that stays") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {events_of({}, 7), events_of({event(8, "doc")}, 8), "", "",
                                    events_of({}, 8), failed(ErrorCode::internal, "No more.")});
    const Outcome followed = call({"events", "-f"});
    CHECK(followed.out == event(8, "doc").to_json() + "\n");
    CHECK(followed.exit_code == 1);
    const auto requests = daemon.requests();
    REQUIRE(requests.size() == 6);
    CHECK(target_of(requests[0]) == "GET /v2/account/local/events?since=now&wait=0");
    CHECK(target_of(requests[1]) == "GET /v2/account/local/events?since=7&wait=1");
    for (std::size_t i = 2; i < 6; ++i)
        CHECK(target_of(requests[i]) == "GET /v2/account/local/events?since=8&wait=1");
}
