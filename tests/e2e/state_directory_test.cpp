// What befalls a state directory under its daemon or between two: files that are damaged, removed,
// copied or put back. The promise holds, nobody else's backend ends, and the way out is named.
#include <doctest/doctest.h>
#include <signal.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

std::string lock_file(const Home& home) {
    for (const auto& entry : fs::directory_iterator(home.path() + "/locks")) {
        if (entry.path().filename().string().size() == 64) return entry.path();
    }
    return {};
}

void copy_into(const Home& from, const Home& copy) {
    REQUIRE(run({"/bin/cp", "-a", from.path() + "/.", copy.path()}, from.options()).exit_code == 0);
}

constexpr std::array database_files{"/jamsock.db", "/jamsock.db-wal", "/jamsock.db-shm"};

// The daemon alone, as by an out-of-memory kill: its backends go on.
void kill_daemon(const Home& home) {
    ::kill(home.keeper(), SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
}

// Moves the database's files from one directory to another.
void move_database(const std::string& from, const std::string& to) {
    for (const char* name : database_files) {
        fs::remove(to + name);
        if (fs::exists(from + name)) fs::rename(from + name, to + name);
    }
}

BackendInfo only_backend(const Home& home) {
    REQUIRE(home.keys().size() == 1);
    return home.backend(home.keys().at(0).backend_id);
}

}  // namespace

TEST_CASE(
    "a lock file whose fencing token can't be one is refused, and the way out gives the key") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    home.output_of({"terminate", "--key", key});
    const std::string lock = lock_file(home);
    for (const char* number : {"9223372036854775807", "9007199254740992"}) {
        std::ofstream(lock) << number << " knrv5\n";
        check_refused(home.jamsock({"connect", "--key", key}), 5, {lock, "is damaged"},
                      "mv " + lock + " " + lock + ".damaged");
        CHECK(content_of(lock).starts_with(number));
        fs::rename(lock, lock + ".damaged");
        home.output_of({"connect", "--key", key});
        CHECK(home.keys().at(0).fencing_token < 9'007'199'254'740'991);
        home.output_of({"terminate", "--key", key});
    }
}

TEST_CASE("a key whose holder only its lock file knows is given when all of that is gone") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-daemon"});
    const BackendInfo first = only_backend(home);
    const auto tree = processes_with("SESSION_BACKEND_KEY=" + key);
    REQUIRE(tree.size() == 2);
    const pid_t shim = parent_of(first.pid.value());
    kill_daemon(home);
    fs::remove_all(home.path() + "/backends/" + first.id.str());
    for (const char* name : database_files)
        fs::remove(home.path() + name);
    ::kill(shim, SIGKILL);
    REQUIRE(eventually([&] { return !is_running(shim) && !is_running(*first.pid); }));

    home.output_of({"connect", "--key", key});
    for (const pid_t pid : tree)
        CHECK_FALSE(is_running(pid));
    CHECK(only_backend(home).fencing_token > first.fencing_token);
    CHECK(home.output_of({"daemon", "logs"})
              .find("nothing tells of the end of the backend " + first.id.str()) !=
          std::string::npos);

    // Once it is known, nobody is looked for.
    home.output_of({"terminate", "--key", key});
    home.output_of({"connect", "--key", key});
    const std::string log = home.output_of({"daemon", "logs"});
    CHECK(log.find("nothing tells of the end") == log.rfind("nothing tells of the end"));
}

TEST_CASE("a copy of a live state directory ends nothing of the original") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-daemon"});
    const BackendInfo original = only_backend(home);
    const std::string url = home.output_of({"lookup", "--key", key});
    const auto tree = processes_with("SESSION_BACKEND_KEY=" + key);
    REQUIRE(tree.size() == 2);
    const auto check_original = [&] {
        for (const pid_t pid : tree)
            CHECK(is_running(pid));
        CHECK(fetch(url).status == 200);
        CHECK(only_backend(home).id == original.id);
    };

    // With the directories of its backends; with their rows alone; with no daemon at the original.
    for (const char* const lost : {"", "/backends", "/history"}) {
        CAPTURE(lost);
        const Home copy;
        copy_into(home, copy);
        if (*lost) fs::remove_all(copy.path() + lost);
        copy.output_of({"daemon", "start"});
        CHECK(copy.keys().empty());
        check_original();
        const BackendInfo ended = copy.backend(original.id);
        CHECK(ended.statuses.back().status == Status::terminated);
        CHECK(ended.statuses.back().reason == TerminationReason::lost);

        copy.output_of({"connect", "--key", key, "--", test_backend()});
        const BackendInfo own = only_backend(copy);
        CHECK(own.id != original.id);
        copy.output_of({"daemon", "restart"});
        CHECK(only_backend(copy).id == own.id);
        kill_daemon(copy);
        copy.output_of({"list"});
        CHECK(only_backend(copy).pid == own.pid);
        check_original();
    }
}

TEST_CASE("a copy says what it is, and has neither the ports nor the API token of the original") {
    const Home home;
    const std::string url = home.output_of({"connect", "--key", home.own_key("k")});
    const std::string token = content_of(home.path() + "/api-token");
    home.output_of({"daemon", "stop"});
    const Home copy;
    copy_into(home, copy);
    copy.output_of({"daemon", "start"});
    CHECK(copy.output_of({"daemon", "status"}).find(home.path()) != std::string::npos);
    CHECK(copy.output_of({"daemon", "logs"}).find("is a copy of '" + home.path() + "'") !=
          std::string::npos);
    CHECK(content_of(copy.path() + "/api-token") != token);
    CHECK(fetch(url).status == 0);

    home.output_of({"daemon", "start"});
    CHECK(fetch(url).status == 200);
    CHECK(home.output_of({"daemon", "status"}).find("copy") == std::string::npos);
    const auto port = copy.version()->proxy_port;
    copy.output_of({"daemon", "stop"});
    copy.output_of({"daemon", "start"});
    CHECK(copy.version()->proxy_port == port);
    CHECK(copy.output_of({"daemon", "status"}).find(home.path()) != std::string::npos);
}

TEST_CASE("a renamed state directory is the same one, and its backends go on") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    const BackendInfo backend = only_backend(home);
    home.output_of({"daemon", "stop"});
    const Home elsewhere;
    fs::rename(home.path(), elsewhere.path());
    elsewhere.output_of({"list"});
    CHECK(only_backend(elsewhere).id == backend.id);
    CHECK(only_backend(elsewhere).pid == backend.pid);
}

TEST_CASE("an older database put back names no holder beside the one that lives") {
    const Home home;
    const test::TemporaryDirectory aside;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    const BackendInfo older = only_backend(home);
    const std::string bystander = home.own_key("other");
    home.output_of({"connect", "--key", bystander});
    home.output_of({"daemon", "stop"});
    for (const char* name : database_files) {
        if (fs::exists(home.path() + name)) fs::copy(home.path() + name, aside.path(name));
    }
    home.output_of({"terminate", "--key", key});
    const std::string url = home.output_of({"connect", "--key", key});
    const BackendId newer = home.connect({.key = Key::parse(key).value()})->backend_id;
    const BackendInfo before = home.backend(newer);
    REQUIRE(newer != older.id);

    SUBCASE("the older one's directory is in the history") {
    }
    SUBCASE("nothing but its row is left") {
        fs::remove_all(home.path() + "/history/" + older.id.str());
    }
    home.output_of({"daemon", "stop"});
    move_database(aside.path(""), home.path());
    home.output_of({"daemon", "start"});

    REQUIRE(home.keys().size() == 2);
    const BackendInfo after = home.backend(newer);
    CHECK(after.statuses.back().status == Status::ready);
    CHECK(after.pid == before.pid);
    CHECK(after.fencing_token == before.fencing_token);
    CHECK(fetch(url).status == 200);
    CHECK(home.connect({.key = Key::parse(key).value()})->backend_id == newer);
    CHECK(home.jamsock({"why", newer.str()}).exit_code == 0);
    CHECK(home.jamsock({"logs", newer.str()}).exit_code == 0);
    CHECK(home.backend(older.id).statuses.back().status == Status::terminated);
    CHECK(home.jamsock({"why", older.id.str()}).exit_code == 0);

    home.output_of({"terminate", "--key", key});
    CHECK(home.backend(newer).statuses.back().status == Status::terminated);
    home.output_of({"connect", "--key", key, "--timeout", "5"});
    CHECK(home.keys().size() == 2);
}
