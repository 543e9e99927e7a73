// What crashes: the promise holds, and URLs, backends and keys stay.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <map>

#include "common/clock.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/sanitized.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

struct Known {
    std::string url;
    BackendId id;
    pid_t pid = 0;
    std::int64_t fencing_token = 0;
};

std::vector<Known> five_backends(Home& home) {
    std::vector<Known> all;
    for (int i = 1; i <= 5; ++i) {
        const auto key = Key::parse(home.own_key("doc-" + std::to_string(i))).value();
        if (i == 1) home.output_of({"daemon", "start"});
        const auto response = home.connect({.key = key}).value();
        const BackendInfo backend = home.backend(response.backend_id);
        all.push_back(
            {response.url, response.backend_id, backend.pid.value(), backend.fencing_token});
    }
    return all;
}

// Whether the URL leads to its backend; until then no answer comes, and none that denies it.
bool answers_again(const std::string& url) {
    const int status = fetch(url).status;
    CHECK((status == 200 || status == 0));
    return status == 200;
}

void check_unchanged(const Home& home, const std::vector<Known>& all) {
    CHECK(home.keys().size() == all.size());
    for (const Known& known : all) {
        const BackendInfo backend = home.backend(known.id);
        CHECK(backend.pid == known.pid);
        CHECK(backend.fencing_token == known.fencing_token);
        CHECK(backend.statuses.back().status == Status::ready);
        CHECK(processes_with("SESSION_BACKEND_KEY=" + backend.key->str()).size() == 1);
        CHECK(fetch(known.url).status == 200);
    }
}

}  // namespace

TEST_CASE("after kill -9 of the worker all URLs answer again within a second, with nobody's help") {
    Home home;
    const auto all = five_backends(home);
    const pid_t keeper = home.keeper();
    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    const auto start = BootClock::now();
    for (const Known& known : all) {
        CHECK(eventually([&] { return answers_again(known.url); }));
    }
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - start);
    MESSAGE("five URLs answered again after ms: ", took.count());
    CHECK(took < slowness * std::chrono::seconds(1));
    CHECK(home.keeper() == keeper);
    CHECK(home.worker() != worker);
    check_unchanged(home, all);
}

TEST_CASE("after kill -9 of keeper and worker the next call adopts every backend") {
    Home home;
    const auto all = five_backends(home);
    ::kill(home.keeper(), SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
    for (const Known& known : all)
        CHECK(is_running(known.pid));
    home.output_of({"lookup", "--key", home.own_key("doc-3")});
    check_unchanged(home, all);
    CHECK(keepers_of(home.path()).size() == 1);
}

TEST_CASE("the same with the database deleted as well") {
    Home home;
    const auto all = five_backends(home);
    ::kill(home.keeper(), SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
    for (const char* name : {"/jamsock.db", "/jamsock.db-wal", "/jamsock.db-shm"}) {
        std::filesystem::remove(home.path() + name);
    }
    home.output_of({"list"});
    check_unchanged(home, all);
    // And the old holder's token is below the next one's.
    const std::string first = home.own_key("doc-1");
    home.output_of({"terminate", "--key", first});
    home.connect({.key = Key::parse(first).value()}).value();
    for (const KeyEntry& entry : home.keys()) {
        if (entry.key->str() == first) CHECK(entry.fencing_token > all[0].fencing_token);
    }
}

TEST_CASE("kill -9 of a shim ends its backend and all that it left before the key is given again") {
    Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-daemon"});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t main = home.backend(id).pid.value();
    const auto tree = processes_with("SESSION_BACKEND_KEY=" + key);
    REQUIRE(tree.size() == 2);
    ::kill(parent_of(main), SIGKILL);
    REQUIRE(eventually([&] { return home.keys().empty(); }));
    for (const pid_t pid : tree)
        CHECK_FALSE(is_running(pid));
    const BackendInfo ended = home.backend(id);
    CHECK(ended.statuses.back().status == Status::terminated);
    CHECK(ended.statuses.back().reason == TerminationReason::lost);
}

TEST_CASE(
    "keeper and shim both killed: what the backend left is found before the key is given again") {
    Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-daemon"});
    const pid_t main = home.backend(home.keys().at(0).backend_id).pid.value();
    const auto tree = processes_with("SESSION_BACKEND_KEY=" + key);
    REQUIRE(tree.size() == 2);
    const pid_t shim = parent_of(main);
    ::kill(home.keeper(), SIGKILL);
    ::kill(shim, SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty() && !is_running(shim); }));
    const auto next = home.output_of({"connect", "--key", key, "--timeout", "20"});
    CHECK(fetch(next).status == 200);
    for (const pid_t pid : tree)
        CHECK_FALSE(is_running(pid));
}

TEST_CASE("a stopped shim is not dead: its backend lives on, however often the worker is killed") {
    Home home;
    const auto all = five_backends(home);
    const pid_t shim = parent_of(all[0].pid);
    ::kill(shim, SIGSTOP);
    for (int i = 0; i < 12; ++i) {
        const pid_t worker = home.worker();
        ::kill(worker, SIGKILL);
        REQUIRE(eventually([&] { return home.worker() != worker && home.worker() != 0; }));
    }
    CHECK(is_running(all[0].pid));
    ::kill(shim, SIGCONT);
    REQUIRE(eventually([&] { return home.backend(all[0].id).pid.has_value(); }));
    check_unchanged(home, all);
    home.output_of({"terminate", "--key", home.own_key("doc-1")});
    CHECK_FALSE(is_running(all[0].pid));
}

TEST_CASE("a daemon that has too few descriptors to adopt its backends ends none of them") {
    Home home;
    const auto all = five_backends(home);
    home.output_of({"daemon", "stop"});
    const auto start_with = [&](int descriptors) {
        const std::string script =
            "ulimit -n " + std::to_string(descriptors) + "; exec \"$0\" daemon start";
        return run({"/bin/sh", "-c", script, JAMSOCK_BUILD_DIR "/bin/jamsock"}, home.options());
    };
    int refused = 0;
    for (int descriptors = 40; descriptors > 12; --descriptors) {
        if (start_with(descriptors).exit_code != 0) ++refused;
        for (const Known& known : all)
            REQUIRE(is_running(known.pid));
        for (const pid_t keeper : keepers_of(home.path()))
            ::kill(keeper, SIGTERM);
        REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
        REQUIRE(eventually([&] { return keepers_of(home.path()).empty(); }));
    }
    CHECK(refused > 0);
    home.output_of({"daemon", "start"});
    CHECK(eventually([&] { return home.keys().size() == all.size(); }));
    check_unchanged(home, all);
}

TEST_CASE("the exit code of a backend that ended while no daemon ran is known afterwards") {
    Home home;
    home.output_of({"connect", "--key", "k", "--", test_backend()});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t pid = home.backend(id).pid.value();
    home.output_of({"daemon", "stop"});
    ::kill(pid, SIGSEGV);
    REQUIRE(eventually([&] { return !is_running(pid); }));
    home.output_of({"daemon", "start"});
    REQUIRE(eventually([&] { return home.keys().empty(); }));
    CHECK(home.backend(id).statuses.back().exit == ProcessExit{std::nullopt, SIGSEGV});
}

TEST_CASE("a worker stopped by kill -STOP delays, and loses nothing") {
    Home home;
    const auto all = five_backends(home);
    const pid_t worker = home.worker();
    ::kill(worker, SIGSTOP);
    Child waiting = home.start_jamsock({"lookup", "--key", home.own_key("doc-2")});
    // It waits for an answer: in poll or recv, with its connection in the backlog.
    REQUIRE(eventually([&] { return read_process(waiting.pid())->state == 'S'; }));
    CHECK(is_running(waiting.pid()));
    ::kill(worker, SIGCONT);
    CHECK(waiting.wait().exit_code == 0);
    check_unchanged(home, all);
}
