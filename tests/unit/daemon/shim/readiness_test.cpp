// What a shim does for its backend's readiness: NOTIFY_SOCKET, the command, the listening socket.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "daemon/shim/shim.h"
#include "tests/support/notify.h"
#include "tests/support/proc.h"
#include "tests/unit/daemon/shim/shim_fixture.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr const char* forever = "while :; do sleep 0.01; done";

// The kernel shows it a moment after the exec.
std::vector<std::string> environment_of_main(const RunningShim& shim) {
    std::vector<std::string> environment;
    REQUIRE(eventually([&] { return !(environment = environment_of(shim.main_pid())).empty(); }));
    return environment;
}

std::string notify_socket_of(const RunningShim& shim) {
    return notify_socket_in(environment_of_main(shim));
}

ShimSpec with_command(const ShimHome& home, const std::string& command,
                      const std::string& script = forever) {
    ShimSpec spec = home.spec(script);
    spec.ready_exec = command;
    spec.env.push_back("HOME_OF_TEST=" + home.path(""));
    return spec;
}

bool exists(const std::string& path) {
    return eventually([&] { return std::filesystem::exists(path); });
}

// A socket that listens on 127.0.0.1, on any port.
UniqueFd a_listener() {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket.get(), 5) == 0);
    return socket;
}

std::string link_of(int fd) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

std::string value_in(const std::vector<std::string>& environment, const std::string& name) {
    for (const std::string& entry : environment) {
        if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return "(none)";
}

}  // namespace

TEST_CASE("READY=1 is told to the daemon, once, and again to whoever connects later") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(forever));
    const std::string socket = notify_socket_of(shim);
    CHECK_FALSE(shim.connect().expect("hello").number("ready"));
    for (const char* other : {"STATUS=READY=1", "READY=0", "XREADY=1", "READY=11", "", "\n\n"})
        REQUIRE(notify(socket, other));
    Channel before = shim.connect();
    CHECK_FALSE(before.expect("hello").number("ready"));
    REQUIRE(notify(socket, "STATUS=up\nREADY=1\nMAINPID=1"));
    before.expect("ready");
    REQUIRE(notify(socket, "READY=1"));
    before.send(terminate("soft", "external"));
    CHECK(before.receive()->verb() == "ending");
}

TEST_CASE("readiness that was told while no daemon lived is in the hello") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(forever));
    shim.channel.hang_up();
    REQUIRE(notify(notify_socket_of(shim), "READY=1"));
    CHECK(eventually([&] { return shim.connect().expect("hello").number("ready") == 1; }));
}

TEST_CASE("who goes on notifying for ever is never kept waiting") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(forever));
    const std::string socket = notify_socket_of(shim);
    for (int i = 0; i < 1000; ++i)
        REQUIRE(notify(socket, "WATCHDOG=1"));
    REQUIRE(notify(socket, "READY=1"));
    shim.channel.expect("ready");
    for (int i = 0; i < 1000; ++i)
        REQUIRE(notify(socket, "WATCHDOG=1"));
}

TEST_CASE("a service's own environment can't stand for what the shim sets") {
    const ShimHome home;
    ShimSpec spec = home.spec(forever);
    for (const char* variable : {"NOTIFY_SOCKET=/x", "LISTEN_FDS=7", "LISTEN_PID=1"})
        spec.env.emplace_back(variable);
    RunningShim shim = RunningShim::started(home, spec);
    const auto environment = environment_of_main(shim);
    CHECK(value_in(environment, "NOTIFY_SOCKET").starts_with("@jamsock-notify-"));
    CHECK(value_in(environment, "LISTEN_FDS") == "(none)");
    CHECK(value_in(environment, "LISTEN_PID") == "(none)");
    CHECK(std::ranges::count_if(environment, [](const std::string& entry) {
              return entry.starts_with("NOTIFY_SOCKET=");
          }) == 1);
}

TEST_CASE("a command is tried until it exits with 0; how a try ends is no end of the backend") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, with_command(home, "echo asked; test -e $HOME_OF_TEST/up || exit 3"));
    for (int i = 0; i < 3; ++i)
        CHECK(shim.channel.expect("not-ready").number("try_code") == 3);
    const Message hello = shim.connect().expect("hello");
    CHECK(hello.text("state") == "running");
    CHECK(hello.number("try_code") == 3);
    CHECK_FALSE(shim.record()->main_exited);
    CHECK(is_alive(shim.main_pid()));

    std::ofstream(home.path("up")).put('\n');
    Channel later = shim.connect();
    const auto is_ready = [&] {
        for (auto message = later.receive(); message; message = later.receive()) {
            if (message->verb() == "ready" || message->number("ready") == 1) return true;
        }
        return false;
    };
    CHECK(is_ready());
    CHECK(content_of(shim.file("output.log")).starts_with("asked\nasked\n"));
    CHECK(eventually([&] { return descendants(all_processes(), shim.pid()).size() <= 2; }));
    later.send(terminate("hard", "external"));
    shim.wait();
    CHECK(shim.record()->tree_empty);
    CHECK(shim.record()->main_exited->signal == SIGKILL);
}

TEST_CASE("a try runs with the backend's environment, directory and key, in a session of its own") {
    const ShimHome home;
    ShimSpec spec = with_command(home, "echo $$ > $HOME_OF_TEST/pid; sleep 1000");
    spec.cwd = "/usr";
    RunningShim shim = RunningShim::started(home, spec);
    REQUIRE(exists(home.path("pid")));
    REQUIRE(eventually([&] { return content_of(home.path("pid")).ends_with('\n'); }));
    const auto pid = static_cast<pid_t>(std::stoi(content_of(home.path("pid"))));
    const auto process = read_process(pid);
    REQUIRE(process);
    CHECK(process->parent == shim.pid());
    CHECK(process->session == pid);
    CHECK(process->group == pid);
    CHECK(environment_of(pid) == environment_of_main(shim));
    const std::string proc = "/proc/" + std::to_string(pid);
    CHECK(std::filesystem::read_symlink(proc + "/cwd") == "/usr");
    const Descriptors open = descriptors_of(shim.main_pid());
    CHECK(open.rbegin()->second == home.lock_file());
    CHECK(open.size() == 4);
    CHECK(eventually([&] { return descriptors_of(pid) == open; }));  // its redirection is over
}

TEST_CASE("a try that lasts too long is killed with its group, and another one made") {
    const ShimHome home;
    ShimSpec spec = with_command(
        home, "test -e $HOME_OF_TEST/up && exit; sleep 1000 & echo $! >> $HOME_OF_TEST/pids; wait");
    spec.ready_try_milliseconds = 100;
    RunningShim shim = RunningShim::started(home, spec);
    for (int i = 0; i < 2; ++i) {
        const Message killed = shim.channel.expect("not-ready");
        CHECK(killed.number("try_too_long") == 1);
        CHECK_FALSE(killed.number("try_signal"));
    }
    std::ofstream(home.path("up")).put('\n');
    shim.channel.expect("ready");
    std::ifstream pids(home.path("pids"));
    for (pid_t pid = 0; pids >> pid;)
        CHECK(eventually([&] { return !is_alive(pid); }));
    CHECK(is_alive(shim.main_pid()));
}

TEST_CASE("an ending kills the try at once, with all of its group, and makes no other") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, with_command(home, "trap '' TERM; sleep 1000 & echo >> $HOME_OF_TEST/tries; wait",
                           "trap 'exit 5' TERM; : > $1/up; while :; do sleep 0.01; done"));
    REQUIRE(eventually([&] { return content_of(home.path("tries")) == "\n"; }));
    REQUIRE(exists(home.path("up")));
    shim.channel.send(terminate("soft", "external", 3'600'000));
    CHECK(shim.channel.expect("exited").number("code") == 5);
    shim.channel.expect("gone");
    CHECK(shim.wait() == 0);
    CHECK(content_of(home.path("tries")) == "\n");
}

TEST_CASE("a main process that ends alone has no ending for its try's sake") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, with_command(home, ": > $HOME_OF_TEST/asked; sleep 1000",
                           "while ! test -e $1/asked; do sleep 0.01; done; exit 7"));
    CHECK(shim.channel.expect("exited").number("code") == 7);
    CHECK(shim.channel.receive()->verb() == "gone");
    CHECK_FALSE(shim.record()->ending);
    CHECK(shim.record()->main_exited->code == 7);
}

TEST_CASE("a main process that ends at once, with a command to try, is reported as ever") {
    const ShimHome home;
    RunningShim shim(home, with_command(home, "exit 1", "exit 0"));
    shim.channel.expect("locked");
    shim.channel.send(Message("go"));
    CHECK(shim.channel.expect("exited").number("code") == 0);
    shim.channel.expect("gone");
    CHECK_FALSE(shim.record()->ending);
}

TEST_CASE("READY=1 ends the tries of a command") {
    const ShimHome home;
    RunningShim shim =
        RunningShim::started(home, with_command(home, ": > $HOME_OF_TEST/asked; sleep 1000"));
    REQUIRE(exists(home.path("asked")));
    REQUIRE(notify(notify_socket_of(shim), "READY=1"));
    shim.channel.expect("ready");
    CHECK(eventually([&] {
        return processes_with("HOME_OF_TEST=" + home.path("")) == std::vector{shim.main_pid()} ||
               descendants(all_processes(), shim.pid()).size() <= 2;
    }));
}

TEST_CASE("a listening socket comes as descriptor 3, with the process's own number beside it") {
    const ShimHome home;
    const UniqueFd listener = a_listener();
    ShimSpec spec = home.spec("");
    spec.argv = {"/bin/sleep", "1000"};
    spec.has_listener = true;
    RunningShim shim = RunningShim::started(home, spec, listener.get());
    const auto environment = environment_of_main(shim);
    CHECK(value_in(environment, "LISTEN_FDS") == "1");
    CHECK(value_in(environment, "LISTEN_PID") == std::to_string(shim.main_pid()));
    // While a program is loaded, its libraries are open.
    Descriptors open;
    REQUIRE(test::eventually([&] {
        open = descriptors_of(shim.main_pid());
        return open.size() == 5;
    }));
    CHECK(open.at(3) == link_of(listener.get()));
    CHECK(open.rbegin()->first > 99);
    CHECK(open.rbegin()->second == home.lock_file());
    const Descriptors of_the_shim = descriptors_of(shim.pid());
    CHECK(std::ranges::none_of(of_the_shim,
                               [&](const auto& entry) { return entry.second == open.at(3); }));
}

TEST_CASE("a try of a command has no part in the listening socket") {
    const ShimHome home;
    const UniqueFd listener = a_listener();
    ShimSpec spec =
        with_command(home, "ls -l /proc/self/fd > $HOME_OF_TEST/fds; env > $HOME_OF_TEST/env");
    spec.has_listener = true;
    RunningShim shim = RunningShim::started(home, spec, listener.get());
    shim.channel.expect("ready");
    CHECK(content_of(home.path("fds")).find("socket:") == std::string::npos);
    CHECK(content_of(home.path("env")).find("LISTEN_") == std::string::npos);
}
