#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "daemon/backends/cgroups.h"
#include "tests/unit/daemon/shim/shim_fixture.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::chrono::seconds until_cpu_is_used{60};

ShimSpec with_one_second(const ShimHome& home, const std::string& script) {
    ShimSpec spec = home.spec(script);
    spec.cpu_seconds = 1;
    return spec;
}

std::optional<int> signal_that_ended(const RunningShim& shim) {
    std::optional<ShimRecord> record;
    CHECK(eventually(
        [&] {
            record = shim.record();
            return record && record->main_exited;
        },
        until_cpu_is_used));
    return record && record->main_exited ? record->main_exited->signal : std::nullopt;
}

// A cgroup of the test's own, if it may make one; nothing limits it.
class OwnCgroup {
  public:
    OwnCgroup() {
        const auto content = [](const char* path) { return content_of(path); };
        directory_ =
            cgroup::directory(content("/proc/self/cgroup"), content("/proc/self/mountinfo"));
        if (directory_.empty()) return;
        directory_ += "/jamsock-test-" + std::to_string(::getpid());
        if (!cgroup::make(directory_, {})) directory_.clear();
    }
    ~OwnCgroup() { cgroup::remove(directory_); }

    explicit operator bool() const { return !directory_.empty(); }
    const std::string& directory() const { return directory_; }
    std::string processes() const { return content_of(directory_ + "/cgroup.procs"); }

  private:
    std::string directory_;
};

}  // namespace

TEST_CASE("a backend that has used its processor time is ended by XCPU") {
    const ShimHome home;
    const auto shim = RunningShim::started(home, with_one_second(home, "while :; do :; done"));
    CHECK(signal_that_ended(shim) == SIGXCPU);
}

TEST_CASE("one that ignores it is killed soon after") {
    const ShimHome home;
    const auto shim =
        RunningShim::started(home, with_one_second(home, "trap '' XCPU; while :; do :; done"));
    CHECK(signal_that_ended(shim) == SIGKILL);
}

TEST_CASE("without a limit of its own a backend's processor time is as it was") {
    const ShimHome home;
    auto shim = RunningShim::started(home, home.spec("ulimit -t > $1/limit; exit 0"));
    shim.channel.expect("exited");
    CHECK(content_of(home.path("limit")) == "unlimited\n");
}

TEST_CASE("a backend is in its cgroup before its program runs, and its shim is not") {
    const OwnCgroup group;
    if (!group) {
        MESSAGE("skipped: no cgroup can be made here");
        return;
    }
    const ShimHome home;
    ShimSpec spec = home.spec("cat /proc/self/cgroup > $1/group; : > $1/up; sleep 1000");
    spec.cgroup = group.directory();
    auto shim = RunningShim::started(home, spec);
    REQUIRE(eventually([&] { return std::filesystem::exists(home.path("up")); }));
    CHECK(content_of(home.path("group")).find("/jamsock-test-") != std::string::npos);
    CHECK(group.processes().find(std::to_string(shim.main_pid()) + "\n") != std::string::npos);
    CHECK(group.processes().find(std::to_string(shim.pid()) + "\n") == std::string::npos);

    cgroup::kill(group.directory());
    CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
    shim.channel.expect("gone");
    CHECK(group.processes().empty());
}

TEST_CASE("a backend that can't join its cgroup is not run") {
    const ShimHome home;
    ShimSpec spec = home.spec(": > $1/up");
    spec.cgroup = home.path("none");
    RunningShim shim(home, spec);
    shim.channel.expect("locked");
    shim.channel.send(Message("go"));
    const Message failed = shim.channel.expect("exec-failed");
    CHECK(failed.text("what") == "cgroup");
    CHECK(failed.number("errno") == ENOENT);
    shim.channel.expect("gone");
    CHECK_FALSE(std::filesystem::exists(home.path("up")));
}
