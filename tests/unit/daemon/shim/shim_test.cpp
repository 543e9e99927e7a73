#include "daemon/shim/shim.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "daemon/shim/descriptors.h"
#include "tests/support/proc.h"
#include "tests/unit/daemon/shim/shim_fixture.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// A script that says so in a file when it is far enough.
constexpr const char* wait_for_term = "trap 'exit 5' TERM; : > $1/up; while :; do sleep 0.01; done";
constexpr int lock_number = 987;  // of the lock's descriptor in a backend
constexpr const char* ignore_term = "trap '' TERM; : > $1/up; while :; do sleep 0.01; done";

bool is_up(const ShimHome& home) {
    return eventually([&] { return std::filesystem::exists(home.path("up")); });
}

UniqueFd lock_by_hand(const ShimHome& home) {
    UniqueFd file(::open(home.lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::flock(file.get(), LOCK_EX | LOCK_NB) == 0);
    return file;
}

bool lock_is_free(const ShimHome& home) {
    const UniqueFd file(::open(home.lock_file().c_str(), O_RDWR | O_CLOEXEC));
    return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

pid_t pid_in(const std::string& path) {
    pid_t pid = 0;
    REQUIRE(eventually([&] {
        const std::string text = content_of(path);
        if (text.empty() || text.back() != '\n') return false;
        pid = std::stoi(text);
        return true;
    }));
    return pid;
}

}  // namespace

TEST_CASE("a backend runs after go, and how it ended is recorded in both stages") {
    for (const int code : {0, 1, 3, 126, 255}) {
        CAPTURE(code);
        const ShimHome home;
        RunningShim shim(home, home.spec("exit " + std::to_string(code)));
        shim.channel.expect("locked");
        const Message started = shim.go();
        CHECK(started.number("start").value_or(0) > 0);
        CHECK(shim.channel.expect("exited").number("code") == code);
        shim.channel.expect("gone");
        const auto record = shim.record();
        REQUIRE(record);
        CHECK(record->boot_id == current_boot_id());
        CHECK(record->shim_pid == shim.pid());
        CHECK(record->started->pid == shim.main_pid());
        CHECK(record->main_exited->code == code);
        CHECK(!record->main_exited->signal);
        CHECK(!record->ending);
        CHECK(record->tree_empty);
        CHECK(!std::filesystem::exists(shim.file("shim.sock")));
        CHECK(shim.wait() == 0);
        CHECK(lock_is_free(home));
    }
}

TEST_CASE("the lock names the backend before it starts") {
    const ShimHome home;
    RunningShim shim(home, home.spec("exit 0"));
    shim.channel.expect("locked");
    CHECK(content_of(home.lock_file()).starts_with("1000 "));
    CHECK(!lock_is_free(home));
    CHECK(!shim.record()->started);
}

TEST_CASE("the end of file before go starts nothing") {
    const ShimHome home;
    RunningShim shim(home, home.spec(": > $1/up"));
    shim.channel.expect("locked");
    shim.channel.hang_up();
    CHECK(shim.wait() == 0);
    CHECK(!std::filesystem::exists(home.path("up")));
    CHECK(!std::filesystem::exists(shim.file("shim.sock")));
    CHECK(!shim.record()->started);
    CHECK(shim.record()->tree_empty);
    CHECK(lock_is_free(home));
}

TEST_CASE("anything but go starts nothing") {
    const ShimHome home;
    RunningShim shim(home, home.spec(": > $1/up"));
    shim.channel.expect("locked");
    shim.channel.send(terminate("soft", "external"));
    CHECK(shim.wait() == 0);
    CHECK(!std::filesystem::exists(home.path("up")));
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("a lock that stays held is reported with its holder") {
    const ShimHome home;
    RunningShim first = RunningShim::started(home, home.spec(wait_for_term, "first"));
    ShimSpec second_spec = home.spec("exit 0", "second");
    second_spec.fencing_token = 2000;
    RunningShim second(home, second_spec);
    const Message busy = second.channel.expect("busy");
    CHECK(busy.text("holder") == "first");
    CHECK(busy.number("token") == 1000);
    CHECK(second.wait() == 1);
    CHECK(second.record()->tree_empty);
    CHECK(!second.record()->started);
}

TEST_CASE("a lock that is given up within the second is taken") {
    const ShimHome home;
    UniqueFd held = lock_by_hand(home);
    RunningShim shim(home, home.spec("exit 0"));
    REQUIRE(eventually([&] { return shim.record().has_value(); }));
    held.reset();
    CHECK(shim.channel.receive()->verb() == "locked");
}

TEST_CASE("a daemon that vanishes ends the wait for a busy lock") {
    const ShimHome home;
    const UniqueFd held = lock_by_hand(home);
    const long long begin = boottime_milliseconds();
    RunningShim shim(home, home.spec("exit 0"));
    shim.channel.hang_up();
    shim.wait();
    CHECK(boottime_milliseconds() - begin < 900);
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("a fencing token that is not above the lock's is stale") {
    for (const char* recorded : {"1000 older\n", "1001 older\n"}) {
        const ShimHome home;
        std::ofstream(home.lock_file()) << recorded;
        RunningShim shim(home, home.spec("exit 0"));
        CHECK(shim.channel.expect("stale").number("token") == std::stoi(recorded));
        CHECK(shim.wait() == 1);
        CHECK(content_of(home.lock_file()) == recorded);
        CHECK(shim.record()->tree_empty);
    }
}

TEST_CASE("a specification that can't start anything is refused") {
    const ShimHome home;
    ShimSpec spec = home.spec("exit 0");
    spec.argv = {"relative"};
    RunningShim shim(home, spec);
    CHECK(shim.channel.expect("failed").number("errno") == EINVAL);
    CHECK(shim.wait() == 1);
}

TEST_CASE("a backend's descriptors are the standard streams and the lock") {
    const ShimHome home;
    const RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    Descriptors descriptors;
    REQUIRE(eventually([&] {  // a program that loads has more
        descriptors = descriptors_of(shim.main_pid());
        return descriptors.size() == 4;
    }));
    CHECK(descriptors.at(0) == "/dev/null");
    CHECK(descriptors.at(1).starts_with("pipe:"));
    CHECK(descriptors.at(2) == descriptors.at(1));
    CHECK(descriptors.rbegin()->first == lock_number);
    CHECK(descriptors.rbegin()->second == home.lock_file());
}

TEST_CASE("a backend that unlocks its key's lock frees nothing, and it is locked again") {
    const ShimHome home;
    const RunningShim shim =
        RunningShim::started(home, home.spec("flock -u 987 && : > $1/up; exec sleep 1000"));
    REQUIRE(is_up(home));
    ShimSpec second_spec = home.spec("exit 0", "second");
    second_spec.fencing_token = 2000;
    RunningShim second(home, second_spec);
    CHECK(second.channel.expect("busy").text("holder") == "knrv5");
    const std::string info = "/proc/" + std::to_string(shim.main_pid()) + "/fdinfo/987";
    CHECK(eventually([&] { return content_of(info).find("FLOCK") != std::string::npos; }));
}

TEST_CASE("a lock that was unlocked and is another's by now ends the backend") {
    const ShimHome home;
    RunningShim shim =
        RunningShim::started(home, home.spec("while flock -u 987; do : > $1/up; sleep 0.01; done"));
    UniqueFd other;
    REQUIRE(is_up(home));
    REQUIRE(eventually([&] {  // as a shim of before would: it knows this lock alone
        other.reset(::open(home.lock_file().c_str(), O_RDWR | O_CLOEXEC));
        return ::flock(other.get(), LOCK_EX | LOCK_NB) == 0;
    }));
    Channel channel = shim.connect();
    const Message ending = channel.expect("ending");
    CHECK(ending.text("kind") == "hard");
    CHECK(ending.text("reason") == "internalerror");
    channel.expect("gone");
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("where few descriptors are allowed the lock's has a lower number") {
    const ShimHome home;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit low = before;
    low.rlim_cur = 64;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    const RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    const int number = descriptors_of(shim.main_pid()).rbegin()->first;
    CHECK(number >= 50);
    CHECK(number < 64);
}

TEST_CASE("a backend leads a session, with default signals, its environment and directory alone") {
    const ShimHome home;
    ShimSpec spec = home.spec("exec sleep 1000");
    spec.env = {"A=1", "B=two words", "C="};
    spec.argv = {"/bin/sleep", "1000"};
    spec.cwd = home.path("locks");
    spec.descriptor_limit = 300;
    const RunningShim shim = RunningShim::started(home, spec);
    const std::string proc = "/proc/" + std::to_string(shim.main_pid());
    const std::string environment = content_of(proc + "/environ");
    const std::string given("A=1\0B=two words\0C=\0NOTIFY_SOCKET=@jamsock-notify-", 49);
    CHECK(environment.starts_with(given));
    CHECK(environment.size() == given.size() + 33);  // 32 random digits and the last NUL
    CHECK(std::filesystem::read_symlink(proc + "/cwd") == home.path("locks"));
    CHECK(read_process(shim.main_pid())->session == shim.main_pid());
    const std::string status = content_of(proc + "/status");
    CHECK(status.find("SigIgn:\t0000000000000000") != std::string::npos);
    CHECK(status.find("SigBlk:\t0000000000000000") != std::string::npos);
    const std::string limits = content_of(proc + "/limits");
    CHECK(limits.find("Max open files            300 ") != std::string::npos);
}

TEST_CASE("a program that can't be run is reported with the reason") {
    struct Failing {
        const char* program;
        const char* cwd;
        const char* what;
        int error;
        int code;
    };
    const ShimHome home;
    std::ofstream(home.path("plain")) << "no program";
    const std::string plain = home.path("plain");
    int number = 0;
    for (const Failing& failing : {Failing{"/no/such", "/", "exec", ENOENT, 127},
                                   Failing{plain.c_str(), "/", "exec", EACCES, 126},
                                   Failing{"/bin/true", "/no/such", "chdir", ENOENT, 127}}) {
        CAPTURE(failing.program);
        ShimSpec spec = home.spec("", "id" + std::to_string(number++));
        spec.argv = {failing.program};
        spec.cwd = failing.cwd;
        spec.fencing_token += number;
        RunningShim shim(home, spec);
        shim.channel.expect("locked");
        shim.channel.send(Message("go"));
        const auto answer = shim.channel.receive();
        REQUIRE(answer);
        CHECK(answer->verb() == "exec-failed");
        CHECK(answer->text("what") == failing.what);
        CHECK(answer->number("errno") == failing.error);
        CHECK(shim.wait() == 0);
        CHECK(shim.record()->main_exited->code == failing.code);
        CHECK(shim.record()->tree_empty);
    }
}

TEST_CASE("a soft terminate lets the backend end by itself") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(wait_for_term));
    REQUIRE(is_up(home));
    shim.channel.send(terminate("soft", "swept"));
    const Message ending = shim.channel.expect("ending");
    CHECK(ending.text("kind") == "soft");
    CHECK(ending.text("reason") == "swept");
    CHECK(shim.channel.expect("exited").number("code") == 5);
    shim.channel.expect("gone");
    CHECK(shim.record()->ending->kind == "soft");
    CHECK(shim.record()->ending->reason == "swept");
}

TEST_CASE("a soft terminate becomes hard after the grace, for the same reason and cause") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(ignore_term));
    REQUIRE(is_up(home));
    const long long begin = boottime_milliseconds();
    shim.channel.send(terminate("soft", "swept", 200).add("cause", "idle"));
    CHECK(shim.channel.expect("ending").text("kind") == "soft");
    const Message ending = shim.channel.expect("ending");
    CHECK(ending.text("kind") == "hard");
    CHECK(ending.text("reason") == "swept");
    CHECK(ending.text("cause") == "idle");
    CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
    CHECK(boottime_milliseconds() - begin >= 200);
    shim.channel.expect("gone");
    CHECK(shim.record()->ending->kind == "hard");
    CHECK(shim.record()->main_exited->signal == SIGKILL);
    CHECK(!shim.record()->main_exited->code);
}

TEST_CASE("a hard terminate ends at once, also what a soft one has begun") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(ignore_term));
    REQUIRE(is_up(home));
    shim.channel.send(terminate("soft", "swept", 60'000));
    shim.channel.send(terminate("soft", "external", 0));  // changes nothing, nor does its grace
    CHECK(shim.channel.expect("ending").text("reason") == "swept");
    shim.channel.send(terminate("hard", "keyexpired"));
    const auto next = shim.channel.receive();
    REQUIRE(next);
    CHECK(next->text("kind") == "hard");
    CHECK(next->text("reason") == "keyexpired");
    CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
    shim.channel.expect("gone");
}

TEST_CASE("a stopped backend is woken to see its TERM") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    ::kill(shim.main_pid(), SIGSTOP);
    REQUIRE(eventually([&] { return read_process(shim.main_pid())->state == 'T'; }));
    shim.channel.send(terminate("soft", "external"));
    CHECK(shim.channel.expect("exited").number("signal") == SIGTERM);
}

TEST_CASE("a daemon that escaped from its session and its descriptors is killed") {
    const ShimHome home;
    // A shell of two-digit descriptors and more.
    std::ofstream(home.path("escape")) << "exec 987>&-; trap : TERM; echo $$ > $1/pid\n"
                                          "while :; do sleep 0.01; done\n";
    RunningShim shim =
        RunningShim::started(home, home.spec("setsid bash $1/escape $1 <&- >&- 2>&- & "
                                             "while [ ! -s $1/pid ]; do sleep 0.01; done; exit 3"));
    const pid_t escaped = pid_in(home.path("pid"));
    CHECK(shim.channel.expect("exited").number("code") == 3);
    CHECK(eventually([&] { return shim.record()->main_exited.has_value(); }));
    CHECK(!shim.record()->tree_empty);
    CHECK(is_alive(escaped));
    CHECK(descriptors_of(escaped).count(lock_number) == 0);
    CHECK(read_process(escaped)->session != shim.main_pid());
    shim.channel.expect("ending");
    shim.channel.send(terminate("hard", "external"));
    shim.channel.expect("gone");
    CHECK(!is_alive(escaped));
    CHECK(shim.record()->tree_empty);
}

TEST_CASE("children that outlive the main process get its ending: TERM, grace, KILL") {
    const ShimHome home;
    ShimSpec spec = home.spec(
        "(trap ': > $1/termed' TERM; : > $1/up; while :; do sleep 0.01; done) & "
        "while [ ! -e $1/up ]; do sleep 0.01; done");
    spec.grace_milliseconds = 300;
    RunningShim shim = RunningShim::started(home, spec);
    CHECK(shim.channel.expect("exited").number("code") == 0);
    Message ending = shim.channel.expect("ending");
    CHECK(ending.text("kind") == "soft");
    CHECK(ending.text("reason") == "");
    ending = shim.channel.expect("ending");
    CHECK(ending.text("kind") == "hard");
    CHECK(ending.text("reason") == "");
    shim.channel.expect("gone");
    CHECK(std::filesystem::exists(home.path("termed")));
}

TEST_CASE("a soft ending reaches what left the main process's session, also after its exit") {
    const ShimHome home;
    const std::string leave =
        "setsid sh -c ': > $0/up; exec sleep 1000' $1 & "
        "while [ ! -e $1/up ]; do sleep 0.01; done; ";
    ShimSpec spec = home.spec(leave);
    SUBCASE("asked for") {
        spec = home.spec("trap : TERM; " + leave + "wait; wait; exit 4");
        RunningShim shim = RunningShim::started(home, spec);
        REQUIRE(is_up(home));
        shim.channel.send(terminate("soft", "external", 60'000));
        CHECK(shim.channel.expect("exited").number("code") == 4);
        shim.channel.expect("gone");
    }
    SUBCASE("because the main process has exited") {
        spec.grace_milliseconds = 60'000;
        RunningShim shim = RunningShim::started(home, spec);
        CHECK(shim.channel.expect("exited").number("code") == 0);
        shim.channel.expect("gone");
        CHECK(shim.record()->ending->kind == "soft");
    }
}

TEST_CASE("the newest connection wins and is told how things stand") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(wait_for_term));
    REQUIRE(is_up(home));
    Channel first = shim.connect();
    const Message hello = first.expect("hello");
    CHECK(hello.number("protocol") == 1);
    CHECK(hello.text("id") == "knrv5");
    CHECK(hello.number("token") == 1000);
    CHECK(hello.number("shim_pid") == shim.pid());
    CHECK(hello.number("pid") == shim.main_pid());
    CHECK(hello.number("start") ==
          static_cast<std::int64_t>(read_process(shim.main_pid())->start_time));
    CHECK(hello.text("state") == "running");
    CHECK(shim.channel.is_closed());

    Channel second = shim.connect();
    second.expect("hello");
    CHECK(first.is_closed());
    second.send(terminate("soft", "external"));
    CHECK(second.expect("exited").number("code") == 5);
    second.expect("gone");
}

TEST_CASE("hello tells of an ending and of an exit") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, home.spec("(trap '' TERM; : > $1/child; while :; do sleep 0.01; done) & "
                        "trap 'exit 4' TERM; while [ ! -e $1/child ]; do sleep 0.01; done; "
                        ": > $1/up; while [ ! -e $1/quit ]; do sleep 0.01; done; exit 6"));
    REQUIRE(is_up(home));
    ::kill(shim.main_pid(), SIGSTOP);
    shim.channel.send(terminate("soft", "swept", 60'000).add("cause", "idle"));
    shim.channel.expect("exited");
    const Message hello = shim.connect().expect("hello");
    CHECK(hello.text("state") == "exited");
    CHECK(hello.number("code") == 4);
    CHECK(hello.text("kind") == "soft");
    CHECK(hello.text("reason") == "swept");
    CHECK(hello.text("cause") == "idle");
}

TEST_CASE("hello tells of an ending that goes on") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(ignore_term));
    REQUIRE(is_up(home));
    shim.channel.send(terminate("soft", "external", 60'000));
    shim.channel.expect("ending");
    const Message hello = shim.connect().expect("hello");
    CHECK(hello.text("state") == "ending");
    CHECK(hello.text("kind") == "soft");
    CHECK(!hello.number("code"));
}

TEST_CASE("a daemon that is gone after go changes nothing") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home, home.spec("while [ ! -e $1/quit ]; do sleep 0.01; done; echo done; exit 7"));
    shim.channel.hang_up();
    std::ofstream(home.path("quit")) << "";
    CHECK(shim.wait() == 0);
    CHECK(shim.record()->main_exited->code == 7);
    CHECK(shim.record()->tree_empty);
    CHECK(content_of(shim.file("output.log")) == "done\n");
}

TEST_CASE("go and the end of file right after it still start the backend") {
    const ShimHome home;
    RunningShim shim(home, home.spec("exit 9"));
    shim.channel.expect("locked");
    shim.channel.send(Message("go"));
    shim.channel.hang_up();
    CHECK(shim.wait() == 0);
    CHECK(shim.record()->main_exited->code == 9);
}

TEST_CASE("a killed shim takes its backend with it") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    shim.kill();
    CHECK(eventually([&] { return !is_alive(shim.main_pid()); }));
    CHECK(!shim.record()->main_exited);
    CHECK(!shim.record()->tree_empty);
    CHECK(eventually([&] { return lock_is_free(home); }));
}

TEST_CASE("what outlives a killed shim still holds the lock") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("sleep 1000 & echo $! > $1/pid; wait"));
    const auto child = read_process(pid_in(home.path("pid")));
    REQUIRE(child);
    shim.kill();
    REQUIRE(eventually([&] { return !is_alive(shim.main_pid()); }));
    CHECK(is_alive(child->pid));
    CHECK(!lock_is_free(home));
    CHECK(signal_process(*child, SIGKILL));
    CHECK(eventually([&] { return lock_is_free(home); }));
}

TEST_CASE("a backend whose lock file is removed or replaced is ended") {
    for (const bool replaced : {false, true}) {
        CAPTURE(replaced);
        const ShimHome home;
        RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
        if (replaced) {
            std::ofstream(home.path("locks/other")) << "";
            std::filesystem::rename(home.path("locks/other"), home.lock_file());
        } else {
            std::filesystem::remove(home.lock_file());
        }
        const Message ending = shim.channel.expect("ending");
        CHECK(ending.text("kind") == "hard");
        CHECK(ending.text("reason") == "internalerror");
        shim.channel.expect("gone");
    }
}

TEST_CASE("where no inotify instance is left a removed lock file is noticed as well") {
    if (std::stoi(content_of("/proc/sys/fs/inotify/max_user_instances")) > 512) return;
    // Until no other process of this user has returned an instance in between.
    CHECK(eventually([] {
        const ShimHome home;
        std::vector<UniqueFd> instances;
        do {
            instances.emplace_back(::inotify_init1(IN_CLOEXEC));
        } while (instances.back());
        RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
        instances.clear();
        for (const auto& [number, target] : descriptors_of(shim.pid())) {
            if (target.find("inotify") != std::string::npos) return false;
        }
        std::filesystem::remove(home.lock_file());
        CHECK(shim.channel.expect("ending").text("reason") == "internalerror");
        return true;
    }));
}

TEST_CASE("a lock file that is only touched stays in place") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    std::filesystem::permissions(home.lock_file(), std::filesystem::perms::owner_read);
    std::filesystem::permissions(home.lock_file(), std::filesystem::perms::owner_all);
    CHECK(shim.connect().expect("hello").text("state") == "running");
}

TEST_CASE("TERM to the shim ends its backend softly") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(wait_for_term));
    REQUIRE(is_up(home));
    ::kill(shim.pid(), SIGTERM);
    CHECK(shim.channel.expect("ending").text("reason") == "external");
    CHECK(shim.channel.expect("exited").number("code") == 5);
    CHECK(shim.wait() == 0);
}

TEST_CASE("a deadline ends the backend as swept, unless it is cleared") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec(wait_for_term));
    REQUIRE(is_up(home));
    Message deadline("deadline");
    deadline.add("boottime_ms", std::int64_t{boottime_milliseconds() + 60'000});
    shim.channel.send(deadline);
    Message cleared("deadline");
    cleared.add("boottime_ms", std::int64_t{0});
    shim.channel.send(cleared);
    Channel channel = shim.connect();
    CHECK(channel.expect("hello").text("state") == "running");

    const long long due = boottime_milliseconds() + 150;
    Message soon("deadline");
    soon.add("boottime_ms", std::int64_t{due});
    channel.send(soon);
    channel.hang_up();  // it is kept while no daemon lives
    CHECK(shim.wait() == 0);
    CHECK(boottime_milliseconds() >= due);
    CHECK(shim.record()->ending->kind == "soft");
    CHECK(shim.record()->ending->reason == "swept");
    CHECK(shim.record()->ending->cause == "lifetime");
    CHECK(shim.record()->main_exited->code == 5);
}

TEST_CASE("what is no message, or none it knows, is ignored") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    shim.channel.send_bytes("nonsense");
    shim.channel.send_bytes(std::string(9000, '\0'));
    shim.channel.send(Message("from-the-future").add("x", "y"));
    shim.channel.send(terminate("hard", "external").add("colour", "blue"));
    CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
}

TEST_CASE("a backend that floods its log is never blocked, and all of it is kept") {
    const ShimHome home;
    RunningShim shim =
        RunningShim::started(home, home.spec("head -c 3000000 /dev/zero; echo last >&2"));
    CHECK(shim.channel.expect("exited").number("code") == 0);
    shim.channel.expect("gone");
    CHECK(std::filesystem::file_size(shim.file("output.log")) == 3'000'005);
    CHECK(shim.record()->main_exited->dropped_log_bytes == 0);
}

TEST_CASE("output that can't be written stops neither shim nor backend, and is counted and told") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(
        home,
        home.spec("await() { until [ -e $1/$2 ]; do sleep 0.01; done; }\n"
                  "head -c 4000 /dev/zero; await $1 full; echo lost; await $1 free; echo on"));
    const std::string log = shim.file("output.log");
    REQUIRE(eventually([&] { return std::filesystem::file_size(log) == 4000; }));
    const rlimit full{4000, RLIM_INFINITY};
    const rlimit free{RLIM_INFINITY, RLIM_INFINITY};
    REQUIRE(::prlimit(shim.pid(), RLIMIT_FSIZE, &full, nullptr) == 0);
    std::ofstream(home.path("full")).flush();
    REQUIRE(eventually([&] { return shim.record()->dropped_log_bytes == 5; }));
    REQUIRE(::prlimit(shim.pid(), RLIMIT_FSIZE, &free, nullptr) == 0);
    std::ofstream(home.path("free")).flush();
    CHECK(shim.channel.expect("exited").number("code") == 0);
    shim.channel.expect("gone");
    CHECK(content_of(log).substr(4000) ==
          "\n[jamsock: 5 bytes of output were lost: File too large]\non\n");
    CHECK(shim.record()->main_exited->dropped_log_bytes == 5);
}

TEST_CASE("a shim that waits uses no processor time") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("exec sleep 1000"));
    shim.connect().expect("hello");
    CHECK(eventually([&] { return read_process(shim.pid())->state == 'S'; }));
    const auto switches = [&] {
        const std::string status = content_of("/proc/" + std::to_string(shim.pid()) + "/status");
        return status.substr(status.find("voluntary_ctxt_switches"));
    };
    std::string before = switches();
    CHECK(eventually([&] { return before == std::exchange(before, switches()); }));
    CHECK(!eventually([&] { return switches() != before; }, std::chrono::milliseconds(100)));
}
