#include "daemon/backends/cgroups.h"

#include <doctest/doctest.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;

TEST_CASE("the daemon's cgroup is found where it is mounted") {
    constexpr const char* mounts =
        "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    CHECK(cgroup::directory("0::/user.slice/a b.scope\n", mounts) ==
          "/sys/fs/cgroup/user.slice/a b.scope");
    CHECK(cgroup::directory("4:memory:/x\n0::/\n", mounts) == "/sys/fs/cgroup");
    CHECK(cgroup::directory("0::/docker/1/app\n", "30 25 0:26 /docker/1 /cg rw - cgroup2 c rw\n") ==
          "/cg/app");
    CHECK(cgroup::directory("4:memory:/x\n", mounts).empty());
    CHECK(cgroup::directory("0::/a\n", "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n").empty());
    CHECK(cgroup::directory("", "").empty());
}

TEST_CASE("limits become a cgroup's settings") {
    using Settings = std::vector<cgroup::Setting>;
    CHECK(cgroup::settings({.memory = 1048576}) ==
          Settings{{"memory.max", "1048576"}, {"memory.swap.max", "0"}});
    CHECK(cgroup::settings({.cpu_percent = 250}) == Settings{{"cpu.max", "250000 100000"}});
    CHECK(cgroup::settings({.cpu_period = 10000, .cpu_percent = 50}) ==
          Settings{{"cpu.max", "5000 10000"}});
    CHECK(cgroup::settings({.cpu_period = 10000}) == Settings{{"cpu.max", "max 10000"}});
    CHECK(cgroup::settings({.cpu_time = 1}).empty());
    CHECK_FALSE(cgroup::is_needed({.cpu_time = 1}));
}

TEST_CASE("what can't be limited is refused, with the limit's name and the reason") {
    CHECK(Cgroups("").can_limit({.cpu_time = 1}));
    const auto none = Cgroups("").can_limit({.memory = 1});
    REQUIRE_FALSE(none);
    CHECK(none.error().code == ErrorCode::unsupported);
    CHECK(none.error().message ==
          "The limit 'memory_limit_bytes' can't be kept here: the daemon is in no cgroup of "
          "version 2.");

    const test::TemporaryDirectory group;
    std::ofstream(group.path("cgroup.controllers")) << "memory pids\n";
    std::ofstream(group.path("cgroup.subtree_control")) << "memory\n";
    const Cgroups cgroups(group.path());
    CHECK(cgroups.can_limit({.memory = 1}));
    const auto no_cpu = cgroups.can_limit({.memory = 1, .cpu_period = 1000});
    REQUIRE_FALSE(no_cpu);
    CHECK(no_cpu.error().message == "The limit 'cpu_period' can't be kept here: the cgroup '" +
                                        group.path() + "' has no cpu controller.");
    CHECK(no_cpu.error().hint == "cat " + group.path("cgroup.controllers"));
    const Error told = told_to_others(no_cpu.error());
    CHECK(told.message ==
          "The limit 'cpu_period' can't be kept here: the daemon's cgroup has no cpu controller.");
    CHECK(told.hint.empty());
    CHECK(cgroups.of(BackendId::parse("knrv5").value()) == group.path("jamsock-knrv5"));
    CHECK(Cgroups("").of(BackendId::parse("knrv5").value()).empty());
}

TEST_CASE("a controller is enabled for the children when it is first needed") {
    const test::TemporaryDirectory group;
    std::ofstream(group.path("cgroup.controllers")) << "cpu memory\n";
    std::ofstream(group.path("cgroup.subtree_control"));
    CHECK(Cgroups(group.path()).can_limit({.cpu_percent = 50}));
    CHECK(test::content_of(group.path("cgroup.subtree_control")) == "+cpu");
}

TEST_CASE("a cgroup that can't be shared out is named to this user alone") {
    const test::TemporaryDirectory group;
    std::ofstream(group.path("cgroup.controllers")) << "cpu\n";
    const auto refused = Cgroups(group.path()).can_limit({.cpu_percent = 50});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message ==
          "The limit 'cpu_period_percent' can't be kept here: the daemon can't give cgroups to "
          "backends in '" +
              group.path() + "': No such file or directory.");
    CHECK(told_to_others(refused.error()).message ==
          "The limit 'cpu_period_percent' can't be kept here: the daemon can't give cgroups to "
          "backends in its own: No such file or directory.");
}

TEST_CASE("a cgroup whose settings can't be written makes the start fail") {
    const test::TemporaryDirectory group;
    const auto made = cgroup::make(group.path("jamsock-x"), {.memory = 1});
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::spawn_failed);
    const auto nowhere = cgroup::make(group.path("no/jamsock-x"), {.memory = 1});
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().message == "The backend's cgroup can't be made: '" +
                                         group.path("no/jamsock-x") +
                                         "': No such file or directory.");
    CHECK(told_to_others(nowhere.error()).message ==
          "The backend's cgroup can't be made: No such file or directory.");
    cgroup::remove(group.path("jamsock-x"));
    CHECK_FALSE(std::filesystem::exists(group.path("jamsock-x")));
}

TEST_CASE("a kill for lack of memory is seen in the cgroup, with its limit") {
    const test::TemporaryDirectory group;
    const auto seen = [&] { return cgroup::out_of_memory(group.path()); };
    CHECK_FALSE(cgroup::out_of_memory(""));
    CHECK_FALSE(seen());
    std::ofstream(group.path("memory.events")) << "low 0\nmax 7\noom 1\noom_kill 0\n";
    CHECK_FALSE(seen());
    std::ofstream(group.path("memory.events")) << "max 7\noom 1\noom_kill 2\noom_group_kill 0\n";
    REQUIRE(seen());
    CHECK_FALSE(seen()->limit);
    std::ofstream(group.path("memory.max")) << "50003968\n";
    CHECK(seen()->limit == 50003968);
    std::ofstream(group.path("memory.max")) << "max\n";
    CHECK_FALSE(seen()->limit);
    const BackendId id = BackendId::parse("knrv5").value();
    CHECK(
        explain_out_of_memory(id, {50003968}) ==
        "The kernel killed a process of the backend knrv5: out of memory (limit 50003968 bytes).");
    CHECK(explain_out_of_memory(id, {}) ==
          "The kernel killed a process of the backend knrv5: out of memory.");
}
