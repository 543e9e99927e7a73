#include "cli/daemon_launcher.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>

#include "common/file_lock.h"
#include "tests/support/eventually.h"
#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using namespace jamsock::cli_test;
using namespace std::chrono_literals;
using jamsock::test::eventually;

namespace {

// A jamsockd that is a shell script: notes its start, then does `then`.
DaemonPlace place_with(const StateDirectory& state, const std::string& then) {
    const std::string program =
        state.write("jamsockd", "#!/bin/sh\ndir=$2\necho started >>$dir/starts\n" + then + "\n");
    ::chmod(program.c_str(), 0755);
    return DaemonPlace{state.path(), program, std::nullopt};
}

// Says "ready" once somebody listens: the test's FakeDaemon.
const std::string ready_when_served =
    "until [ -S $dir/jamsockd.sock ]; do [ -d $dir ] || exit; sleep 0.01; done\necho ready >&3";

Result<ReachedDaemon> reach(const DaemonPlace& place, StartRule rule) {
    return reach_daemon(place, rule, deadline_in(10s));
}

}  // namespace

TEST_CASE("a daemon that answers is not started") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {});
    const auto reached = reach(place_with(state, "exit 1"), StartRule::always);
    REQUIRE(reached);
    CHECK(reached->client);
    CHECK_FALSE(reached->started);
    CHECK(state.read("starts").empty());
}

TEST_CASE("without a daemon the rule decides: never, if backends live, always") {
    const StateDirectory state;
    const DaemonPlace place = place_with(state, "exit 1");
    CHECK_FALSE(reach(place, StartRule::never)->client);
    CHECK_FALSE(reach(place, StartRule::if_backends_live)->client);
    std::filesystem::create_directories(state.path() + "/backends");
    CHECK_FALSE(reach(place, StartRule::if_backends_live)->client);
    CHECK(state.read("starts").empty());

    std::filesystem::create_directories(state.path() + "/backends/knrv5");
    CHECK_FALSE(reach(place, StartRule::never)->client);
    CHECK_FALSE(reach(place, StartRule::if_backends_live));  // started, and it failed
    CHECK(state.read("starts") == "started\n");
}

TEST_CASE("a state directory that is missing is made only to start a daemon in it") {
    const StateDirectory state;
    DaemonPlace place = place_with(state, "exit 1");
    place.state_directory = state.path() + "/new";
    const auto reached = reach(place, StartRule::if_backends_live);
    REQUIRE(reached);
    CHECK_FALSE(reached->client);
    CHECK_FALSE(std::filesystem::exists(place.state_directory));
    CHECK_FALSE(reach(place, StartRule::always));
    CHECK(std::filesystem::exists(place.state_directory));
}

TEST_CASE("many at once start one daemon, and all reach it") {
    const StateDirectory state;
    const DaemonPlace place = place_with(state, ready_when_served);
    std::atomic<int> reached = 0, started = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < 12; ++i) {
        callers.emplace_back([&] {
            const auto daemon = reach(place, StartRule::always);
            if (!daemon || !daemon->client) return;
            ++reached;
            if (daemon->started) ++started;
        });
    }
    CHECK(eventually([&] { return !state.read("starts").empty(); }));
    const FakeDaemon daemon(state, {});
    for (std::thread& caller : callers)
        caller.join();
    CHECK(reached == 12);
    CHECK(started == 1);
    CHECK(state.read("starts") == "started\n");
}

TEST_CASE(
    "the daemon gets its arguments, a clean environment and a session of its own, and nothing "
    "else") {
    const StateDirectory state;
    const ScopedVariable secret("SECRET_OF_THE_TEST", "1");
    const ScopedVariable language("LANG", "C.UTF-8");
    const UniqueFd canary(::fcntl(state.fd(), F_DUPFD, 77));  // not close-on-exec
    DaemonPlace place = place_with(
        state,
        "env >$dir/env\nls /proc/$$/fd >$dir/fds\necho \"$@\" >$dir/args\n"
        "echo $$ $(cut -d' ' -f6 /proc/$$/stat) $(pwd) $(readlink /proc/$$/fd/0) >$dir/process\n"
        // Without a child: a shell that waits for one blocks signals for a moment.
        "while read -r line; do case $line in SigBlk*) echo $line;; esac; done </proc/$$/status "
        ">$dir/mask\n" +
            ready_when_served);
    place.proxy_port = "9091";
    place.config_file = "/etc/a b";

    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    std::thread caller([&] { CHECK(reach(place, StartRule::always)); });
    CHECK(eventually([&] { return !state.read("mask").empty(); }));
    const FakeDaemon daemon(state, {});
    caller.join();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

    CHECK(state.read("args") ==
          "--state-directory " + state.path() +
              " --proxy-port 9091 --config-file /etc/a b --log-to-file --ready-fd 3\n");
    CHECK(state.read("env").find("SECRET_OF_THE_TEST") == std::string::npos);
    CHECK(state.read("env").find("JAMSOCK_HOME") == std::string::npos);
    CHECK(state.read("env").find("LANG=C.UTF-8") != std::string::npos);
    CHECK(state.read("fds").find("77") == std::string::npos);
    CHECK(state.read("mask").find("0000000000000000") != std::string::npos);
    std::istringstream process(state.read("process"));
    std::string pid, session, directory, input;
    process >> pid >> session >> directory >> input;
    CHECK(pid == session);
    CHECK(directory == "/");
    CHECK(input == "/dev/null");
}

TEST_CASE("a daemon that can't start is quoted: its sentence, and its hint") {
    const StateDirectory state;
    const auto failure = [&](const std::string& then) {
        const auto reached = reach(place_with(state, then), StartRule::always);
        REQUIRE_FALSE(reached);
        CHECK(reached.error().code == ErrorCode::daemon_unavailable);
        return reached.error().message + "|" + reached.error().hint;
    };
    CHECK(failure("echo 'The disk is full.' >&3; echo 'df -h' >&3") == "The disk is full.|df -h");
    CHECK(failure("echo 'The disk is full.' >&3") == "The disk is full.|jamsock daemon logs");
    CHECK(failure("exit 70") == "The daemon ended while it started.|jamsock daemon logs");
    CHECK(failure("echo ready >&3") ==
          "The daemon was ready and is gone again.|jamsock daemon logs");

    DaemonPlace missing = place_with(state, "");
    missing.program = "/nowhere/jamsockd";
    const auto reached = reach(missing, StartRule::always);
    REQUIRE_FALSE(reached);
    CHECK(reached.error().message ==
          "The daemon's program '/nowhere/jamsockd' can't be run: No such file or directory.");
}

TEST_CASE(
    "a daemon that doesn't get ready, and another starter that doesn't, are waited for to the "
    "deadline") {
    const StateDirectory state;
    const DaemonPlace place = place_with(state, "while [ -d $dir ]; do sleep 0.01; done");
    const auto late = reach_daemon(place, StartRule::always, deadline_in(100ms));
    REQUIRE_FALSE(late);
    CHECK(late.error().message == "The daemon was started and isn't ready yet.");

    const FileLock lock = FileLock::try_lock(state.fd(), state_file::start_lock);
    REQUIRE(lock);
    const auto waiting = reach_daemon(place, StartRule::always, deadline_in(50ms));
    REQUIRE_FALSE(waiting);
    CHECK(waiting.error().message == "Another command starts the daemon and isn't done.");
}

TEST_CASE("the starters' lock is free once the start is done, though the daemon runs") {
    const StateDirectory state;
    const DaemonPlace place = place_with(
        state, ready_when_served + "\nexec 3>&-\nwhile [ -d $dir ]; do sleep 0.01; done");
    std::thread caller([&] { CHECK(reach(place, StartRule::always)); });
    CHECK(eventually([&] { return !state.read("starts").empty(); }));
    const FakeDaemon daemon(state, {});
    caller.join();
    CHECK(FileLock::try_lock(state.fd(), state_file::start_lock));
}

TEST_CASE("inside a backend no daemon is started, and a running one is used") {
    const StateDirectory state;
    const ScopedVariable inside("SESSION_BACKEND_ID", "knrv5");
    const DaemonPlace place = place_with(state, "exit 1");
    const auto refused = reach(place, StartRule::always);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "The daemon isn't running; start it outside this backend.");
    CHECK(refused.error().code == ErrorCode::daemon_unavailable);
    CHECK(state.read("starts").empty());
    CHECK_FALSE(become_daemon(place));

    const FakeDaemon daemon(state, {});
    CHECK(reach(place, StartRule::always)->client);
}

TEST_CASE("a shim among the ancestors is found however far up, and by its command's name") {
    const StateDirectory state;
    const std::string shim = state.path() + "/jamsock-shim";
    std::filesystem::create_symlink("/bin/sh", shim);
    const std::string script =
        "d=" + state.path() +
        "; sh -c \"sh -c 'echo \\$\\$ >$d/new; mv $d/new $d/pid; "
        "until [ -e $d/end ] || [ ! -d $d ]; do sleep 0.01; done' & wait\" & wait";
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl(shim.c_str(), "jamsock-shim", "-c", script.c_str(), nullptr);
        ::_exit(127);
    }
    CHECK(eventually([&] { return !state.read("pid").empty(); }));
    CHECK(has_shim_ancestor(std::stoi(state.read("pid"))));
    CHECK_FALSE(has_shim_ancestor(::getpid()));
    state.write("end", "");
    ::waitpid(child, nullptr, 0);
}

TEST_CASE("the ports of the environment must be ports") {
    const StateDirectory state;
    for (const char* name : {"JAMSOCK_PROXY_PORT", "JAMSOCK_API_PORT"}) {
        for (const char* wrong : {"port", "-1", "65536", "80 "}) {
            CAPTURE(wrong);
            const ScopedVariable port(name, wrong);
            CHECK(DaemonPlace::from_environment().error().code == ErrorCode::invalid_request);
        }
    }
    const ScopedVariable api_port("JAMSOCK_API_PORT", "1");
    CHECK(DaemonPlace::from_environment()->api_port == "1");
    const ScopedVariable port("JAMSOCK_PROXY_PORT", "0");
    CHECK(DaemonPlace::from_environment()->proxy_port == "0");
    CHECK(DaemonPlace::from_environment()->state_directory == state.path());
}

TEST_CASE("the settings stand with the state, or where XDG has them") {
    const auto config_file = [] { return DaemonPlace::from_environment().value().config_file; };
    {
        const ScopedVariable state("JAMSOCK_HOME", "/srv/state");
        CHECK(config_file() == "/srv/state/config.toml");
    }
    const ScopedVariable no_state("JAMSOCK_HOME", nullptr);
    const ScopedVariable home("HOME", "/home/ann");
    const ScopedVariable none("XDG_CONFIG_HOME", nullptr);
    CHECK(config_file() == "/home/ann/.config/jamsock/config.toml");
    const ScopedVariable relative("XDG_CONFIG_HOME", "relative");
    CHECK(config_file() == "/home/ann/.config/jamsock/config.toml");
    const ScopedVariable absolute("XDG_CONFIG_HOME", "/etc/ann/");
    CHECK(config_file() == "/etc/ann/jamsock/config.toml");
    const ScopedVariable homeless("HOME", nullptr);
    const ScopedVariable nowhere("XDG_CONFIG_HOME", nullptr);
    CHECK(configuration_path().empty());
}
