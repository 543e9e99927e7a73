// What can happen to a backend's shim and to the keeper short of kill -9: limits that others of the
// same user set, starts that hang, a terminal that goes away.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/runtime_paths.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

void at_step(const Home& home, const char* step, const char* what) {
    std::filesystem::create_directory(home.path() + "/steps");
    std::ofstream(home.path() + "/steps/" + step) << what;
}

// Once it has stopped.
pid_t stopped_worker(const Home& home) {
    pid_t pid = 0;
    REQUIRE(eventually([&] {
        for (const pid_t worker : workers_of(home.path())) {
            const auto process = read_process(worker);
            if (process && process->is_stopped()) pid = worker;
        }
        return pid != 0;
    }));
    return pid;
}

Key key_of(const Home& home, const char* name) {
    return Key::parse(home.own_key(name)).value();
}

bool is_gone(const Key& key) {
    return processes_with("SESSION_BACKEND_KEY=" + key.str()).empty();
}

// A shell in a terminal of its own, in which `script` runs the daemon ("$0": jamsock).
class DaemonInTerminal {
  public:
    DaemonInTerminal(const Home& home, const std::string& script) {
        const RunOptions options = home.options();
        int terminal = -1;
        pid_ = ::forkpty(&terminal, nullptr, nullptr, nullptr);
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::clearenv();
            for (const auto& [name, value] : options.environment)
                ::setenv(name.c_str(), value.c_str(), 1);
            ::execl("/bin/sh", "sh", "-c", script.c_str(), JAMSOCK_BUILD_DIR "/bin/jamsock",
                    nullptr);
            ::_exit(99);
        }
        terminal_.reset(terminal);
        REQUIRE(eventually([&] { return home.version().has_value(); }));
    }
    DaemonInTerminal(const DaemonInTerminal&) = delete;
    ~DaemonInTerminal() {
        terminal_.reset();
        ::kill(pid_, SIGTERM);
        ::waitpid(pid_, nullptr, 0);
    }

    void close_terminal() { terminal_.reset(); }

  private:
    pid_t pid_ = 0;
    UniqueFd terminal_;
};

bool has_ended(const Home& home) {
    return eventually([&] { return keepers_of(home.path()).empty(); });
}

}  // namespace

TEST_CASE("whatever limit a backend sets on its shim, its end is proven and its key given again") {
    for (const char* limit : {"nofile=0", "nofile=3", "fsize=0", "as=1", "data=1", "stack=1"}) {
        CAPTURE(limit);
        Home home;
        const Key key = key_of(home, "doc");
        home.output_of({"connect", "--key", key.str(), "--", "sh", "-c",
                        "prlimit --pid $PPID --" + std::string(limit) +
                            " || exit 1; setsid sleep 1000 987>&- & exec \"$0\"",
                        test_backend()});
        home.output_of({"terminate", "--hard", "--key", key.str()});
        CHECK(is_gone(key));
        home.output_of({"connect", "--key", key.str(), "--", test_backend()});
        CHECK(home.keys().size() == 1);
    }
}

TEST_CASE("a lifetime ends though the daemon died before it could tell of it") {
    Home home;
    home.output_of({"daemon", "start"});
    at_step(home, "go-sent", "keeper");
    const Key key = key_of(home, "doc");
    ConnectRequest request{.key = key, .command = Command{{"/bin/sleep", "1000"}, "/"}};
    request.limits.lifetime = 1;
    CHECK_FALSE(home.connect(request));
    CHECK(eventually([&] { return keepers_of(home.path()).empty(); }));
    CHECK(eventually([&] { return is_gone(key) && shims_of(home.path()).empty(); }));
}

TEST_CASE("a backend that ends while its next daemon takes it in is told as it ended") {
    Home home;
    const Key key = key_of(home, "doc");
    home.output_of({"connect", "--key", key.str(), "--", test_backend()});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t main = home.backend(id).pid.value();
    ::kill(home.keeper(), SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
    at_step(home, "record-seen", "stop");
    Child starting = home.start_jamsock({"daemon", "start"});
    const pid_t worker = stopped_worker(home);
    ::kill(main, SIGKILL);
    REQUIRE(eventually([&] { return shims_of(home.path()).empty(); }));
    ::kill(worker, SIGCONT);
    CHECK(starting.wait().exit_code == 0);
    REQUIRE(eventually([&] { return home.keys().empty(); }));
    const StatusChange end = home.backend(id).statuses.back();
    CHECK(end.status == Status::terminated);
    CHECK_FALSE(end.reason);
    REQUIRE(end.exit);
    CHECK(end.exit->signal == SIGKILL);
}

TEST_CASE("an end that was never recorded is told by what its directory in the history says") {
    Home home;
    const Key key = key_of(home, "doc");
    home.output_of({"connect", "--key", key.str(), "--", test_backend()});
    const BackendId id = home.keys().at(0).backend_id;
    ::kill(home.backend(id).pid.value(), SIGKILL);
    REQUIRE(eventually([&] { return home.keys().empty(); }));
    home.output_of({"daemon", "stop"});
    {
        SQLite::Database rows(home.path() + "/" + state_file::database, SQLite::OPEN_READWRITE);
        rows.exec(
            "DELETE FROM backend_status WHERE status = 7; UPDATE backend SET ended = 0;"
            "INSERT INTO held_key SELECT account, service, key, id FROM backend");
    }
    home.output_of({"daemon", "start"});
    REQUIRE(eventually([&] { return home.keys().empty(); }));
    const StatusChange end = home.backend(id).statuses.back();
    CHECK(end.status == Status::terminated);
    CHECK_FALSE(end.reason);
    REQUIRE(end.exit);
    CHECK(end.exit->signal == SIGKILL);
}

TEST_CASE("a daemon in a terminal is restarted when told so, and ends with the terminal") {
    for (const char* script : {"exec \"$0\" daemon run", "\"$0\" daemon run; :"}) {
        CAPTURE(script);
        Home home;
        DaemonInTerminal daemon(home, script);
        const pid_t keeper = home.keeper();
        const pid_t worker = home.worker();
        home.output_of({"daemon", "restart"});
        CHECK(home.keeper() == keeper);
        CHECK(home.worker() != worker);
        daemon.close_terminal();
        CHECK(has_ended(home));
    }
}

TEST_CASE("a daemon that nohup keeps from its terminal's end outlives it") {
    Home home;
    DaemonInTerminal daemon(home, "nohup \"$0\" daemon run > /dev/null & wait");
    const pid_t keeper = home.keeper();
    daemon.close_terminal();
    CHECK_FALSE(eventually([&] { return home.keeper() != keeper; }, std::chrono::seconds(1)));
    home.output_of({"daemon", "restart"});
    CHECK(home.keeper() == keeper);
    home.output_of({"daemon", "stop"});
}

TEST_CASE("a daemon whose log nobody reads any more lives on, and starts its worker again") {
    Home home;
    const Child daemon =
        Child::start({"/bin/sh", "-c", "\"$0\" daemon run 2>&1 | head -1 > /dev/null",
                      JAMSOCK_BUILD_DIR "/bin/jamsock"},
                     home.options());
    REQUIRE(eventually([&] { return home.version().has_value(); }));
    const pid_t keeper = home.keeper();
    for (int i = 0; i < 2; ++i) {
        const pid_t worker = home.worker();
        ::kill(worker, SIGKILL);
        CHECK(eventually([&] { return home.worker() != worker && home.worker() != 0; }));
    }
    CHECK(home.keeper() == keeper);
    home.output_of({"daemon", "stop"});
}

TEST_CASE("a daemon that can't start tells so and leaves nothing that others would wait for") {
    Home home;
    const RunResult failed = run({"/bin/sh", "-c", "ulimit -n 24; exec \"$0\" connect --key a",
                                  JAMSOCK_BUILD_DIR "/bin/jamsock"},
                                 home.options());
    CHECK(failed.exit_code != 0);
    CHECK(has_ended(home));
    home.output_of({"connect", "--key", "b"});
}
