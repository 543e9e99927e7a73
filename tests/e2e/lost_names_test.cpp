// The names by which a daemon is found, and others kept out, are removed or replaced while it runs.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "common/runtime_paths.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

std::string path_of(const Home& home, const char* name) {
    return home.path() + "/" + name;
}

// An instance with one backend.
struct Scene {
    Home home;
    std::string key = home.own_key("k");
    std::string url = home.output_of({"connect", "--key", key});
    BackendInfo backend = home.backend(home.keys().at(0).backend_id);
    pid_t keeper = home.keeper();

    // The same keeper, the same backend, the same URL.
    void check_unchanged() const {
        CHECK(eventually([&] { return home.keeper() == keeper && home.keys().size() == 1; }));
        CHECK(keepers_of(home.path()).size() == 1);
        CHECK(home.backend(backend.id).pid == backend.pid);
        CHECK(eventually([&] { return fetch(url).status == 200; }));
    }
};

}  // namespace

TEST_CASE("a removed socket is made anew, and no command takes the daemon for stopped meanwhile") {
    const Scene scene;
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"list"}, {"daemon", "status"}, {"daemon", "start"}}) {
        fs::remove(path_of(scene.home, state_file::socket));
        CHECK(scene.home.jamsock(command).exit_code == 0);
        scene.check_unchanged();
    }
    fs::remove(path_of(scene.home, state_file::socket));
    scene.home.output_of({"daemon", "stop"});
    CHECK(keepers_of(scene.home.path()).empty());
    CHECK(is_running(scene.backend.pid.value()));
}

TEST_CASE("what else has the socket's name is left as it is, and the log says so") {
    const Scene scene;
    const std::string socket = path_of(scene.home, state_file::socket);
    std::ofstream(socket + ".new") << "mine";
    fs::rename(socket + ".new", socket);
    const auto log = [&] { return content_of(path_of(scene.home, state_file::log)); };
    CHECK(
        eventually([&] { return log().find("something else has the name") != std::string::npos; }));
    CHECK(content_of(socket) == "mine");
    fs::remove(socket);
    scene.check_unchanged();
}

TEST_CASE("a removed daemon.lock is locked anew, and no second daemon starts") {
    const Scene scene;
    const std::string lock = path_of(scene.home, state_file::daemon_lock);
    fs::remove(lock);
    CHECK(eventually([&] { return fs::exists(lock); }));
    scene.check_unchanged();
    const RunResult second = scene.home.jamsock({"daemon", "run"});
    CHECK(second.exit_code == 69);
    CHECK(second.err.find("Another daemon already runs") != std::string::npos);
    scene.check_unchanged();
}

TEST_CASE(
    "of two daemons on one directory the one whose lock has the name stays, with the backends") {
    const Scene scene;
    ::kill(scene.keeper, SIGSTOP);  // it can't regain its names before the other one has them
    fs::remove(path_of(scene.home, state_file::daemon_lock));
    fs::remove(path_of(scene.home, state_file::socket));
    scene.home.output_of({"daemon", "start"});
    const pid_t second = scene.home.keeper();
    CHECK(second != scene.keeper);
    ::kill(scene.keeper, SIGCONT);
    CHECK(eventually([&] { return !is_running(scene.keeper); }));
    CHECK(keepers_of(scene.home.path()) == std::vector{second});
    CHECK(scene.home.keeper() == second);
    CHECK(fs::exists(path_of(scene.home, state_file::socket)));
    REQUIRE(scene.home.keys().size() == 1);
    CHECK(scene.home.backend(scene.backend.id).pid == scene.backend.pid);
    CHECK(scene.home.jamsock({"lookup", "--key", scene.key}).exit_code == 0);
    scene.home.output_of({"terminate", "--key", scene.key});
}

TEST_CASE("a daemon whose state directory is removed ends, and its backends with it") {
    const Scene scene;
    const auto workers = workers_of(scene.home.path());
    REQUIRE(workers.size() == 1);
    // The daemon may write a file meanwhile.
    REQUIRE(eventually([&] {
        std::error_code failed;
        fs::remove_all(scene.home.path(), failed);
        return !fs::exists(scene.home.path());
    }));
    CHECK(eventually([&] { return !is_running(scene.keeper) && !is_running(workers.front()); }));
    CHECK(eventually([&] { return !is_running(scene.backend.pid.value()); }));
    fs::create_directory(scene.home.path());
}
