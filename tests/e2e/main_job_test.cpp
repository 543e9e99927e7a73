// The main job through the real programs: one key, one running backend, its URL.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "common/clock.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/notify.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

TEST_CASE("connect starts the daemon and the backend, and its URL shows the key") {
    Home home;
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Answer page = fetch(url);
    CHECK(page.status == 200);
    CHECK(page.body.find("document-123") != std::string::npos);
    const BackendId id = home.keys().at(0).backend_id;
    CHECK(page.body.find(id.str()) != std::string::npos);
    CHECK(page.body.find(std::to_string(home.keys().at(0).fencing_token)) != std::string::npos);
}

TEST_CASE("a second connect finds the same backend") {
    Home home;
    const auto first =
        ConnectResponse::from_json(home.output_of({"connect", "--key", "document-123", "--json"}));
    const auto second =
        ConnectResponse::from_json(home.output_of({"connect", "--key", "document-123", "--json"}));
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->backend_id == second->backend_id);
    CHECK(first->spawned);
    CHECK_FALSE(second->spawned);
    CHECK(second->status == Status::ready);
    CHECK(first->token != second->token);
}

TEST_CASE("stdout carries the URL alone, and both old and new URLs work") {
    Home home;
    const std::string first = home.output_of({"connect", "--key", "document-123"});
    const std::string second = home.output_of({"lookup", "--key", "document-123"});
    CHECK(first.starts_with("http://127.0.0.1:"));
    CHECK(first.ends_with("/"));
    CHECK(first.find('\n') == std::string::npos);
    CHECK(fetch(first).status == 200);
    CHECK(fetch(second).status == 200);
}

TEST_CASE("a look-up starts nothing: no daemon, no backend") {
    Home home;
    CHECK(home.jamsock({"lookup", "--key", "other"}).exit_code == 3);
    CHECK(home.jamsock({"connect", "--key", "other", "--no-spawn"}).exit_code == 3);
    CHECK(home.keeper() == 0);

    home.output_of({"connect", "--key", "document-123"});
    CHECK(home.jamsock({"lookup", "--key", "other"}).exit_code == 3);
    CHECK(home.keys().size() == 1);
}

TEST_CASE("list shows the one key") {
    Home home;
    CHECK(home.output_of({"list"}).empty());
    home.output_of({"connect", "--key", "document-123"});
    const std::string list = home.output_of({"list"});
    CHECK(list.starts_with("document-123\t"));
    CHECK(std::ranges::count(list, '\n') == 0);
    CHECK(home.output_of({"ls"}).starts_with("document-123\t"));
}

TEST_CASE("the key may come from the environment") {
    Home home;
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    RunOptions options = home.options();
    options.environment["JAMSOCK_KEY"] = "document-123";
    const RunResult found = home.jamsock({"lookup", "--no-spawn"}, options);
    CHECK(found.exit_code == 0);
    CHECK(found.out.starts_with("http://127.0.0.1:"));
}

TEST_CASE("keys of any characters name what they name, byte for byte") {
    Home home;
    for (const char* key : {"a b", "-leading", "quote'\"", "new\nline", "naïve 🎈", "a/b?c#d%20"}) {
        CAPTURE(key);
        home.output_of({"connect", std::string("--key=") + key});
        const auto keys = home.keys();
        const auto held = [&](const KeyEntry& entry) { return entry.key->str() == key; };
        CHECK(std::ranges::count_if(keys, held) == 1);
        home.output_of({"terminate", "--hard", std::string("--key=") + key});
    }
}

TEST_CASE(
    "another command in place, with the caller's directory and PATH, and nothing of the daemon") {
    Home home;
    RunOptions options = home.options();
    options.directory = "/usr";
    options.environment["JAMSOCK_SECRET_OF_THE_CALLER"] = "1";
    options.environment["LC_TIME"] = "C.UTF-8";
    const RunResult connected =
        home.jamsock({"connect", "--key", "k", "-e", "MODE=test", "--", test_backend()}, options);
    INFO(connected.err);
    REQUIRE(connected.exit_code == 0);

    const KeyEntry entry = home.keys().at(0);
    const BackendInfo backend = home.backend(entry.backend_id);
    auto environment = environment_of(backend.pid.value());
    CHECK(notify_socket_in(environment).starts_with("@jamsock-notify-"));
    std::erase_if(environment, [](const std::string& v) {
        return v.starts_with("JAMSOCK_MARK=") || v.starts_with("NOTIFY_SOCKET=");
    });
    std::vector<std::string> wanted{
        "HOME=" + home.path(),
        "HOST=127.0.0.1",
        "JAMSOCKET_SERVICE=local/default",
        "LC_TIME=C.UTF-8",
        "MODE=test",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        fmt::format("PORT={}", backend.port),
        fmt::format("SESSION_BACKEND_FENCING_TOKEN={}", entry.fencing_token),
        "SESSION_BACKEND_ID=" + entry.backend_id.str(),
        "SESSION_BACKEND_KEY=k"};
    std::ranges::sort(wanted);
    CHECK(environment == wanted);
    CHECK(backend.command.cwd == "/usr");
}

TEST_CASE("a backend's descriptors are 0, 1, 2 and the key's lock") {
    Home home;
    home.output_of({"connect", "--key", "k", "--no-wait", "--", test_backend(), "--never-listen"});
    const BackendId id = home.keys().at(0).backend_id;
    REQUIRE(eventually([&] { return home.backend(id).pid.has_value(); }));
    const auto open = descriptors_of(home.backend(id).pid.value());
    REQUIRE(open.size() == 4);
    CHECK(open.at(0) == "/dev/null");
    CHECK(open.at(1).starts_with("pipe:"));
    CHECK(open.at(2) == open.at(1));
    CHECK(open.rbegin()->first > 99);
    CHECK(open.rbegin()->second.starts_with(home.path() + "/locks/"));
}

TEST_CASE("connect gives up at its time limit with 124, and with --no-wait it does not wait") {
    Home home;
    const auto start = BootClock::now();
    const RunResult timed_out = home.jamsock(
        {"connect", "--key", "k", "--timeout", "1", "--", test_backend(), "--never-listen"});
    CHECK(timed_out.exit_code == 124);
    CHECK(BootClock::now() - start < std::chrono::seconds(10));
    CHECK(home.jamsock({"connect", "--key", "k", "--no-wait"}).exit_code == 0);
}

TEST_CASE("a backend that gets ready late is waited for, also by its proxy") {
    Home home;
    const std::string url = home.output_of(
        {"connect", "--key", "k", "--no-wait", "--", test_backend(), "--slow-start", "700"});
    CHECK(fetch(url + "pid").status == 200);
}

TEST_CASE("terminate ends the backend, says how, and frees the key") {
    Home home;
    const std::string url = home.output_of({"connect", "--key", "k"});
    const KeyEntry entry = home.keys().at(0);
    const pid_t pid = home.backend(entry.backend_id).pid.value();
    const RunResult ended = home.jamsock({"terminate", "--key", "k"});
    CHECK(ended.exit_code == 0);
    CHECK_FALSE(is_running(pid));
    CHECK(home.keys().empty());
    CHECK(fetch(url).status == 410);

    const RunResult again = home.jamsock({"terminate", entry.backend_id.str()});
    CHECK(again.exit_code == 3);
    CHECK(home.jamsock({"status", entry.backend_id.str()}).out.find("terminated") !=
          std::string::npos);
    CHECK(home.jamsock({"status", "nobody"}).exit_code == 4);

    const auto next = home.connect({.key = Key::parse("k").value()});
    REQUIRE(next);
    CHECK(next->spawned);
    CHECK(home.keys().at(0).fencing_token > entry.fencing_token);
}

TEST_CASE("daemon stop leaves backends running, and the next call adopts them") {
    Home home;
    const std::string url = home.output_of({"connect", "--key", "k"});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t pid = home.backend(id).pid.value();
    const RunResult stopped = home.jamsock({"daemon", "stop"});
    CHECK(stopped.exit_code == 0);
    CHECK(home.keeper() == 0);
    CHECK(is_running(pid));
    CHECK(home.jamsock({"daemon", "status"}).exit_code == 3);

    home.output_of({"lookup", "--key", "k"});
    CHECK(home.keys().at(0).backend_id == id);
    CHECK(home.backend(id).pid == pid);
    CHECK(fetch(url).status == 200);
}

TEST_CASE("daemon restart keeps keeper, backends and URLs") {
    Home home;
    const std::string url = home.output_of({"connect", "--key", "k"});
    const pid_t keeper = home.keeper();
    const pid_t worker = home.worker();
    const pid_t pid = home.backend(home.keys().at(0).backend_id).pid.value();
    CHECK(home.jamsock({"daemon", "restart"}).exit_code == 0);
    CHECK(home.keeper() == keeper);
    CHECK(home.worker() != worker);
    CHECK(home.backend(home.keys().at(0).backend_id).pid == pid);
    CHECK(fetch(url).status == 200);
    const auto held = descriptors_of(keeper).size();
    CHECK(home.jamsock({"daemon", "restart"}).exit_code == 0);
    CHECK(descriptors_of(keeper).size() == held);
}

TEST_CASE("a connect that waits for a dying holder goes on over a daemon restart") {
    Home home;
    home.output_of({"connect", "--key", "k", "--", test_backend(), "--ignore-term"});
    home.output_of({"terminate", "--key", "k", "--grace", "3", "--no-wait"});
    Child waiting = home.start_jamsock({"connect", "--key", "k", "--json"});
    CHECK(home.jamsock({"daemon", "restart"}).exit_code == 0);
    const RunResult connected = waiting.wait();
    INFO(connected.err);
    CHECK(connected.exit_code == 0);
    CHECK(connected.out.find(R"("spawned":true)") != std::string::npos);
}

TEST_CASE("the daemon's own files are for nobody else") {
    Home home;
    home.output_of({"connect", "--key", "k"});
    for (const auto& entry : std::filesystem::recursive_directory_iterator(home.path())) {
        const auto mode = entry.symlink_status().permissions();
        CAPTURE(entry.path());
        CHECK((mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
              std::filesystem::perms::none);
    }
}

TEST_CASE("user and auth data of a connect arrive with its own token's requests only") {
    Home home;
    home.output_of({"connect", "--key", "k", "--", test_backend()});
    ConnectRequest request{.key = Key::parse("k").value()};
    request.user = "ann";
    request.auth = R"({"role":"editor"})";
    const std::string with = fetch(home.connect(request)->url + "head").body;
    CHECK(with.find("x-verified-username: ann") != std::string::npos);
    CHECK(with.find(R"(x-verified-user-data: {"role":"editor"})") != std::string::npos);
    const std::string without =
        fetch(home.connect({.key = Key::parse("k").value()})->url + "head").body;
    CHECK(without.find("x-verified-username") == std::string::npos);
}
