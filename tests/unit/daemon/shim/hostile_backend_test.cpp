// What a backend, or anything else of the same user, can do to a backend's shim: it goes on
// unharmed, or ends the backend and leaves the proof to whoever comes after it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "daemon/shim/descriptors.h"
#include "tests/support/proc.h"
#include "tests/unit/daemon/shim/shim_fixture.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

void limit(const RunningShim& shim, __rlimit_resource resource, rlim_t value) {
    const rlimit both{value, value};
    REQUIRE(::prlimit(shim.pid(), resource, &both, nullptr) == 0);
}

bool sleeps(const RunningShim& shim) {
    return eventually([&] { return read_process(shim.pid())->state == 'S'; });
}

}  // namespace

TEST_CASE("a shim without descriptors to spare waits, heeds and proves the end") {
    for (const rlim_t descriptors : {0, 3}) {
        CAPTURE(descriptors);
        const ShimHome home;
        RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
        limit(shim, RLIMIT_NOFILE, descriptors);
        ::kill(shim.pid(), SIGCHLD);  // wakes it
        CHECK(sleeps(shim));
        shim.channel.send(terminate("hard", "external"));
        CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
        shim.channel.expect("gone");
        CHECK(shim.record()->tree_empty);
    }
}

TEST_CASE("a shim without descriptors starts nothing, and sees that the daemon has gone") {
    const ShimHome home;
    RunningShim shim(home, home.spec("exit 0"));
    shim.channel.expect("locked");
    limit(shim, RLIMIT_NOFILE, 0);
    ::kill(shim.pid(), SIGCHLD);
    shim.channel.hang_up();
    CHECK(shim.wait() == 0);
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("a shim that can't look for its processes any more leaves the proof to others") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, home.spec("setsid sh -c 'echo $$ > $0/pid; exec sleep 1000' $1 987>&- & "
                        "exec sleep 1000"));
    REQUIRE(eventually([&] { return content_of(home.path("pid")).ends_with('\n'); }));
    const auto escaped = read_process(std::stoi(content_of(home.path("pid"))));
    REQUIRE(escaped);
    limit(shim, RLIMIT_NOFILE, 0);
    shim.channel.send(terminate("hard", "external"));
    shim.channel.expect("exited");
    CHECK(shim.wait() == 0);
    CHECK(shim.record()->ending->kind == "hard");
    CHECK_FALSE(shim.record()->tree_empty);
    CHECK(signal_process(*escaped, SIGKILL));
}

TEST_CASE("no signal but KILL and STOP keeps a shim from its work") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    for (int number = 1; number < NSIG; ++number) {
        const bool is_its_own = number == SIGKILL || number == SIGSTOP || number == SIGTERM;
        const bool is_fault = number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                              number == SIGILL || number == SIGABRT || number == SIGSYS ||
                              number == SIGTRAP;
        const bool is_glibcs = number == 32 || number == 33;
        if (!is_its_own && !is_fault && !is_glibcs) ::kill(shim.pid(), number);
    }
    CHECK(shim.connect().expect("hello").text("state") == "running");
    shim.channel = shim.connect();
    shim.channel.send(terminate("hard", "external"));
    shim.channel.expect("gone");
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("a start that hangs before its program runs is ended at the limit, with no daemon") {
    const ShimHome home;
    ShimSpec spec = home.spec("exit 0");
    spec.cgroup = home.path("cgroup");
    REQUIRE(::mkdir(spec.cgroup.c_str(), 0700) == 0);
    REQUIRE(::mkfifo((spec.cgroup + "/cgroup.procs").c_str(), 0600) == 0);  // nobody reads it
    spec.startup_milliseconds = 200;
    RunningShim shim(home, spec);
    shim.channel.expect("locked");
    shim.channel.send(Message("go"));
    const Message hello = shim.connect().expect("hello");
    CHECK(hello.text("state") == "locked");
    CHECK(hello.number("pid").value_or(0) > 0);
    CHECK(shim.wait() == 0);
    const auto record = shim.record();
    REQUIRE(record->ending);
    CHECK(record->ending->kind == "hard");
    CHECK(record->ending->reason == "startuptimeout");
    CHECK(record->main_exited->signal == SIGKILL);
    CHECK(record->tree_empty);
}

TEST_CASE("a program that runs has all its time to become ready") {
    const ShimHome home;
    ShimSpec spec = home.spec("while [ ! -e $1/end ]; do sleep 0.01; done; exit 4");
    spec.startup_milliseconds = 500;
    spec.lifetime_end = boottime_milliseconds() + 1000;  // the only end that comes
    RunningShim shim = RunningShim::started(home, spec);
    CHECK(shim.channel.expect("ending").text("cause") == "lifetime");
}

TEST_CASE("a lifetime ends though no daemon lived to tell it") {
    const ShimHome home;
    ShimSpec spec = home.spec("exec sleep 1000");
    spec.lifetime_end = boottime_milliseconds() + 200;
    RunningShim shim(home, spec);
    shim.channel.expect("locked");
    shim.channel.send(Message("go"));
    shim.channel.hang_up();
    CHECK(shim.wait() == 0);
    const auto record = shim.record();
    CHECK(record->ending->reason == "swept");
    CHECK(record->ending->cause == "lifetime");
    CHECK(record->tree_empty);
}
