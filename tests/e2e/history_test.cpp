// What is known afterwards, by the real programs: why backends ended, which ones a key has had, and
// every change as an event.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
using Json = nlohmann::json;

namespace {

using Words = std::vector<std::string>;

// A service that runs the test backend.
void create(const Home& home, const std::string& name, const Words& options,
            const Words& habits = {}) {
    Words words{"service", "create", name};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", test_backend()});
    words.insert(words.end(), habits.begin(), habits.end());
    home.output_of(words);
}

BackendId connected(const Home& home, const std::string& service) {
    const std::string json = home.output_of({"connect", service, "--key", "k", "--json"});
    return ConnectResponse::from_json(json).value().backend_id;
}

bool has_ended(const Home& home, const BackendId& id) {
    return home.backend(id).statuses.back().status == Status::terminated;
}

void end_by_itself(const Home& home, const BackendId& id) {
    REQUIRE(eventually([&] { return has_ended(home, id); }));
}

Json why(const Home& home, const Words& words) {
    Words all{"why", "--json"};
    all.insert(all.end(), words.begin(), words.end());
    return Json::parse(home.output_of(all));
}

std::vector<Json> events_in(const std::string& lines) {
    std::vector<Json> events;
    std::istringstream text(lines);
    for (std::string line; std::getline(text, line);)
        events.push_back(Json::parse(line));
    return events;
}

// "ready", and of an end its reason.
std::string named(const Json& event) {
    return event["status"].get<std::string>();
}

}  // namespace

TEST_CASE("why tells of an exit, a kill from elsewhere and an end on request") {
    const Home home;
    create(home, "a", {}, {"--exit", "3"});
    CHECK(home.jamsock({"connect", "a", "--key", "k"}).exit_code == 5);
    const Json exited = why(home, {"k", "-s", "a"});
    CHECK(exited["ended_by"] == "itself");
    CHECK(exited["verdict"].get<std::string>().ends_with(
        "of the key 'k' ended by itself: it exited with code 3."));
    CHECK_FALSE(exited.contains("ready_after_ms"));
    CHECK(exited["backend"]["statuses"].back()["exit_code"] == 3);

    create(home, "b", {}, {"--flood-log", "3000"});
    const BackendId killed = connected(home, "b");
    CHECK(home.output_of({"why", killed.str()}).find("runs, and is ready") != std::string::npos);
    ::kill(home.backend(killed).pid.value(), SIGKILL);
    end_by_itself(home, killed);
    const Json by_signal = why(home, {killed.str()});
    CHECK(by_signal["ended_by"] == "signal");
    CHECK(by_signal["verdict"].get<std::string>().find("see dmesg") != std::string::npos);
    CHECK(by_signal["ready_after_ms"] <= by_signal["lived_ms"]);
    CHECK(by_signal["log_tail"].size() > 1);
    CHECK(by_signal["next_step"] == "jamsock logs " + killed.str());
    home.output_of({"logs", killed.str()});

    const BackendId asked = connected(home, "b");
    home.output_of({"terminate", asked.str()});
    CHECK(why(home, {asked.str()})["ended_by"] == "request");
    const std::string text = home.output_of({"why", "--key", "k", "b"});
    CHECK(text.find(asked.str()) != std::string::npos);
    CHECK(text.find("\n  reason     soft, external\n") != std::string::npos);
    CHECK(home.jamsock({"why", "nothing"}).exit_code == 4);
}

TEST_CASE("why tells the two ends apart that nobody asked for: nobody's use, and a lifetime") {
    const Home home;
    create(home, "idle", {"--max-idle", "1", "--lifetime", "1000"});
    create(home, "old", {"--max-idle", "1000", "--lifetime", "1"});
    const BackendId idle = connected(home, "idle");
    const BackendId old = connected(home, "old");
    for (const BackendId& id : {idle, old})
        end_by_itself(home, id);
    CHECK(why(home, {idle.str()})["ended_by"] == "idle");
    CHECK(why(home, {old.str()})["ended_by"] == "lifetime");
    CHECK(home.output_of({"why", idle.str()}).find("nobody used it for 1 s") != std::string::npos);
    CHECK(home.output_of({"why", old.str()}).find("its lifetime of 1 s was over") !=
          std::string::npos);
    const std::string again = why(home, {old.str()})["next_step"];
    CHECK(again == "jamsock connect old --key k");
}

TEST_CASE("a lifetime that ended while no daemon lived is told so by the next one") {
    const Home home;
    create(home, "old", {"--max-idle", "1000", "--lifetime", "2"});
    const BackendId old = connected(home, "old");
    const pid_t pid = home.backend(old).pid.value();
    home.output_of({"daemon", "stop"});
    REQUIRE(eventually([&] { return !is_running(pid); }));
    home.output_of({"daemon", "start"});
    end_by_itself(home, old);
    CHECK(why(home, {old.str()})["ended_by"] == "lifetime");
}

TEST_CASE("why tells what a backend did instead of being ready in time, also after a restart") {
    const Home home;
    const BackendId other = connected(home, "default");
    const std::string port = std::to_string(home.backend(other).port);
    home.output_of({"terminate", other.str()});  // so that its port is free
    create(home, "elsewhere", {"--startup", "1"}, {"--listen-on", port});
    create(home, "nowhere", {"--startup", "1"}, {"--never-listen"});
    for (const char* service : {"elsewhere", "nowhere"})
        CHECK(home.jamsock({"connect", service, "--key", "k"}).exit_code == 5);
    home.output_of({"daemon", "restart"});
    const Json elsewhere = why(home, {"k", "-s", "elsewhere"});
    CHECK(elsewhere["ended_by"] == "startup-limit");
    CHECK(elsewhere["diagnosis"].get<std::string>().find(
              fmt::format("it listens on port {} instead of $PORT ", port)) != std::string::npos);
    CHECK(home.output_of({"why", "k", "-s", "nowhere"}).find("it listens on no port") !=
          std::string::npos);
}

TEST_CASE("why tells of a program that can't be run, and of a backend whose shim was killed") {
    const Home home;
    TemporaryDirectory directory;
    const std::string program = directory.path("program");
    std::ofstream(program) << "#!/nowhere/sh\n";
    REQUIRE(::chmod(program.c_str(), 0700) == 0);
    CHECK(home.jamsock({"connect", "--key", "k", "--", program}).exit_code == 5);
    const Json unrunnable = why(home, {"k"});
    CHECK(unrunnable["ended_by"] == "start-failure");
    CHECK(unrunnable["next_step"].get<std::string>().starts_with("ls -ld "));

    create(home, "lost", {});
    const BackendId lost = connected(home, "lost");
    ::kill(parent_of(home.backend(lost).pid.value()), SIGKILL);
    end_by_itself(home, lost);
    CHECK(why(home, {lost.str()})["ended_by"] == "lost");
}

TEST_CASE("a key's history has all its backends, the newest first, live ones too") {
    const Home home;
    create(home, "a", {});
    const BackendId first = connected(home, "a");
    home.output_of({"terminate", first.str()});
    const BackendId second = connected(home, "a");
    CHECK(home.output_of({"history", "k", "-s", "a", "-q"}) == second.str() + "\n" + first.str());
    CHECK(home.output_of({"history", "k", "-s", "a", "-n", "1", "-o", "name"}) == second.str());
    const Json json = Json::parse(home.output_of({"history", "a", "-k", "k", "-o", "json"}));
    REQUIRE(json["backends"].size() == 2);
    CHECK(json["backends"][0]["status"]["status"] == "ready");
    CHECK(json["backends"][1]["status"]["termination_reason"] == "external");
    CHECK(json["backends"][1].contains("ready_at"));
    const std::string rows = home.output_of({"history", "k", "-s", "a"});
    CHECK(rows.find(first.str() + "\tterminated\t") != std::string::npos);
    CHECK(home.jamsock({"history", "k"}).exit_code == 4);
}

TEST_CASE(
    "a follower gets every event once and in order, over restarts and crashes of the daemon") {
    const Home home;
    TemporaryDirectory directory;
    const std::string file = directory.path("events");
    create(home, "a", {});
    const std::string program = JAMSOCK_BUILD_DIR "/bin/jamsock";
    const Child follower = Child::start(
        {"/bin/sh", "-c", "exec \"$0\" events -f --since 2020-01-01 >\"$1\"", program, file},
        home.options());
    const auto seen = [&](std::size_t count) {
        return eventually([&] {
            const std::string text = content_of(file);
            return std::ranges::count(text, '\n') >= static_cast<std::ptrdiff_t>(count);
        });
    };
    const BackendId first = connected(home, "a");
    REQUIRE(seen(5));
    home.output_of({"daemon", "restart"});
    home.output_of({"terminate", first.str()});
    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    REQUIRE(eventually([&] { return home.worker() != 0 && home.worker() != worker; }));
    const BackendId second = connected(home, "a");
    home.output_of({"terminate", second.str()});
    REQUIRE(seen(14));

    const std::string followed = content_of(file);
    CHECK(followed == home.jamsock({"events"}).out);
    std::vector<std::string> statuses;
    std::string last_cursor;
    for (const Json& event : events_in(followed)) {
        statuses.push_back(named(event));
        CHECK(event["cursor"].get<std::string>() > last_cursor);
        last_cursor = event["cursor"];
        CHECK(event["key"] == "k");
    }
    const Words life{"scheduled", "loading",     "starting",  "waiting",
                     "ready",     "terminating", "terminated"};
    Words twice = life;
    twice.insert(twice.end(), life.begin(), life.end());
    CHECK(statuses == twice);
    const Json sixth = events_in(followed)[6];
    const std::string rest = home.jamsock({"events", "--since", sixth["cursor"]}).out;
    CHECK(followed.ends_with(rest));
    CHECK(events_in(rest).size() == 7);
}

TEST_CASE("a follower ends when nobody reads it any more, and starts no daemon") {
    const Home home;
    create(home, "a", {});
    connected(home, "a");
    const std::string program = JAMSOCK_BUILD_DIR "/bin/jamsock";
    const RunResult first =
        run({"/bin/sh", "-c", "\"$0\" events -f --since 2020-01-01 | head -n 1", program},
            home.options());
    CHECK(first.exit_code == 0);
    CHECK(events_in(first.out).at(0)["status"] == "scheduled");

    home.output_of({"daemon", "stop", "--with-backends"});
    CHECK(home.jamsock({"events"}).exit_code == 69);
    CHECK(home.jamsock({"events", "-f"}).exit_code == 69);
    CHECK(home.keeper() == 0);
}
