// A backend ends as a whole, whatever its processes did to be forgotten.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "common/clock.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::chrono::seconds grace{1};
constexpr std::chrono::seconds margin{2};

// A backend whose main process ignores TERM, with every way of its children to get away from it.
struct Tree {
    std::string key;
    BackendId id;
    pid_t shim = 0;
    std::vector<Process> processes;  // all below the shim
};

Tree grow_tree(const Home& home) {
    const std::string key = home.own_key("tree");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--ignore-term", "--fork-daemon",
                    "--fork-escaped", "--fork-hermit", key});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t shim = parent_of(home.backend(id).pid.value());
    Tree tree{key, id, shim, descendants(all_processes(), shim)};
    REQUIRE(tree.processes.size() == 5);
    return tree;
}

// Until then the daemon may not have heard yet that the shim is gone.
void connect_until_started_again(const Home& home, const Tree& tree) {
    REQUIRE(eventually([&] {
        const std::string json = home.output_of({"connect", "--key", tree.key, "--json"});
        return ConnectResponse::from_json(json).value().backend_id != tree.id;
    }));
}

// Not even as a zombie.
bool is_gone(const Process& process) {
    const auto now = read_process(process.pid);
    return !now || now->start_time != process.start_time;
}

std::vector<pid_t> living_below(pid_t root) {
    std::vector<pid_t> pids;
    for (const Process& process : descendants(all_processes(), root)) {
        if (!process.is_zombie()) pids.push_back(process.pid);
    }
    return pids;
}

}  // namespace

TEST_CASE("the whole tree is gone within grace and two seconds of a terminate, without a zombie") {
    const Home home;
    const Tree tree = grow_tree(home);
    const auto begin = BootClock::now();
    home.output_of({"terminate", "--key", tree.key, "--grace", std::to_string(grace.count())});
    CHECK(BootClock::now() - begin < grace + margin);
    for (const Process& process : tree.processes)
        CHECK(is_gone(process));
    CHECK(eventually([&] { return shims_of(home.path()).empty() && !read_process(tree.shim); }));
}

TEST_CASE("the whole tree of a killed shim is gone before its key starts again") {
    const Home home;
    const Tree tree = grow_tree(home);
    REQUIRE(::kill(tree.shim, SIGKILL) == 0);
    connect_until_started_again(home, tree);
    for (const Process& process : tree.processes)
        CHECK(is_gone(process));
    CHECK_FALSE(read_process(tree.shim));
}

TEST_CASE("the whole tree is gone when its daemon was killed just before its shim") {
    const Home home;
    const Tree tree = grow_tree(home);
    REQUIRE(::kill(home.worker(), SIGKILL) == 0);
    REQUIRE(::kill(tree.shim, SIGKILL) == 0);
    connect_until_started_again(home, tree);
    for (const Process& process : tree.processes)
        CHECK(is_gone(process));
}

TEST_CASE("what replaces itself on and on is caught at the end of its backend") {
    const Home home;
    const std::string key = home.own_key("successors");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-successors", key});
    REQUIRE(eventually([&] { return !processes_naming(key).empty(); }));
    const auto begin = BootClock::now();
    SUBCASE("by its shim") {
        home.output_of({"terminate", "--hard", "--key", key});
    }
    SUBCASE("by the daemon, when the shim was killed") {
        ::kill(shims_of(home.path()).at(0).pid, SIGKILL);
        REQUIRE(eventually([&] { return home.keys().empty(); }));
    }
    // Its 30 s are longer than this waits.
    CHECK(eventually([&] { return living_below(home.keeper()) == std::vector{home.worker()}; }));
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - begin);
    MESSAGE("caught after ms: ", took.count());
}
