// What a connect may give a backend beside its program: a directory that stays, and limits.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds until_cpu_is_used{60};

// A connect that runs `script` with what `executable` adds.
ConnectRequest running(const Home& home, const std::string& key, const std::string& script) {
    return {.key = Key::parse(home.own_key(key)).value(),
            .command = Command{{"/bin/sh", "-c", script}, "/"},
            .base_environment = EnvironmentMap{{"PATH", "/usr/bin:/bin"}}};
}

StatusChange end_of(const Home& home, const BackendId& id) {
    REQUIRE(
        eventually([&] { return home.backend(id).statuses.back().status == Status::terminated; },
                   until_cpu_is_used));
    return home.backend(id).statuses.back();
}

}  // namespace

TEST_CASE("what a backend keeps in its key's mount the next holder of the key finds") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request =
        running(home, "k", "cd \"$JAMSOCK_MOUNT\" && pwd && echo once >> notes && cat notes");
    request.mount = Mount::own();
    for (const std::size_t times : {1, 2}) {
        const BackendId id = home.connect(request, false).value().backend_id;
        CHECK(end_of(home, id).exit == ProcessExit{0, std::nullopt});
        const std::string file = home.path() + "/history/" + id.str() + "/output.log";
        REQUIRE(eventually([&] { return fs::exists(file); }));
        const std::string log = content_of(file);
        CAPTURE(log);
        CHECK(log.starts_with(home.path() + "/mounts/keys/"));
        CHECK(std::ranges::count(log, '\n') == static_cast<long>(1 + times));
    }
}

TEST_CASE("a mount that can't be made fails the start, and leaves what is there") {
    const Home home;
    home.output_of({"daemon", "start"});
    fs::create_directory(home.path() + "/mounts/named");
    fs::create_directory_symlink("/", home.path() + "/mounts/named/link");
    ConnectRequest request = running(home, "k", "exit 0");
    request.mount = Mount::parse("link/tmp").value();
    const auto failed = home.connect(request);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::spawn_failed);
    CHECK(failed.error().message.find("'named/link/tmp'") != std::string::npos);
}

TEST_CASE("a backend that has used its processor time is ended") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request = running(home, "k", "while :; do :; done");
    request.resources.cpu_time = 1;
    const BackendId id = home.connect(request, false).value().backend_id;
    CHECK(end_of(home, id).exit == ProcessExit{std::nullopt, SIGXCPU});
}

TEST_CASE("limits that can't be kept are refused, and start nothing") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const auto connect_with = [&](const std::string& limit) {
        return home.post(
            "/v2/service/local/default/connect",
            R"({"key":"new","spawn":{"executable":{"resource_limits":{)" + limit + "}}}}");
    };
    check_refused(home, connect_with(R"("disk_limit_bytes":1000000)"), ErrorCode::unsupported,
                  {"disk space", "'disk_limit_bytes'"});
    check_refused(home, connect_with(R"("cpu_time_limit":0)"), ErrorCode::invalid_request,
                  {"'cpu_time_limit'"});
    bystander.check();
    const Answer memory = connect_with(R"("memory_limit_bytes":100000000)");
    if (memory.status == 200) {
        MESSAGE("skipped: this machine can limit memory");
        return;
    }
    check_refused(home, memory, ErrorCode::unsupported,
                  {"The limit 'memory_limit_bytes' can't be kept here: "});
}

TEST_CASE("a backend's memory is limited where the machine can") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request = running(home, "k", "sleep 100");
    request.resources.memory = 50'000'000;
    const auto connected = home.connect(request, false);
    if (!connected) {
        MESSAGE("skipped: ", connected.error().message);
        return;
    }
    const BackendId& id = connected->backend_id;
    REQUIRE(eventually([&] { return home.backend(id).pid.has_value(); }));
    const std::string groups =
        content_of("/proc/" + std::to_string(*home.backend(id).pid) + "/cgroup");
    CHECK(groups.find("/jamsock-" + id.str()) != std::string::npos);
}
