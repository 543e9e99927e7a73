#include "daemon/backends/ownership.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

using namespace jamsock;

namespace {

constexpr pid_t init = 1;
constexpr pid_t keeper = 50;
constexpr uid_t our_uid = 1000;
constexpr std::uint64_t started = 500;  // the backend

SurvivorQuery the_query() {
    SurvivorQuery query{.keeper = keeper, .worker = 51, .shims = {60}, .uid = our_uid};
    query.started = started;
    return query;
}

LookedAt one(pid_t pid, pid_t parent, pid_t session, std::uint64_t start, Evidence evidence) {
    LookedAt looked{.uid = our_uid, .evidence = evidence};
    looked.process.pid = pid;
    looked.process.parent = parent;
    looked.process.session = session;
    looked.process.start_time = start;
    looked.process.state = 'S';
    return looked;
}

// A machine with the daemon, a person's shell of before, and `others`.
Whose verdict_on(pid_t pid, std::vector<LookedAt> others, SurvivorQuery query = the_query()) {
    std::vector<LookedAt> all{
        one(init, 0, init, 1, Evidence::clean), one(keeper, init, keeper, 100, Evidence::clean),
        one(51, keeper, keeper, 101, Evidence::clean), one(60, keeper, 60, 600, Evidence::clean),
        one(70, init, 70, 50, Evidence::clean)};
    all.insert(all.end(), others.begin(), others.end());
    std::vector<Process> processes;
    for (const LookedAt& looked : all)
        processes.push_back(looked.process);
    const auto verdicts = judge(all, known_among(processes, query), query);
    const auto at = std::ranges::find(processes, pid, &Process::pid) - processes.begin();
    return verdicts[static_cast<std::size_t>(at)];
}

constexpr Evidence unseen[] = {Evidence::hidden, Evidence::gone};

}  // namespace

TEST_CASE("what is marked is the backend's, with all below it and in the sessions that it leads") {
    const std::vector<LookedAt> tree{
        one(80, init, 80, 700, Evidence::marked), one(81, 80, 80, 701, Evidence::clean),
        one(82, 81, 82, 702, Evidence::hidden), one(83, init, 82, 703, Evidence::clean)};
    for (const pid_t pid : {80, 81, 82, 83}) {
        CAPTURE(pid);
        CHECK(verdict_on(pid, tree) == Whose::backend);
    }
}

TEST_CASE("what is marked is the backend's, whatever its start and its user") {
    LookedAt old = one(80, init, 80, started - 1, Evidence::marked);
    old.uid = 0;
    CHECK(verdict_on(80, {old}) == Whose::backend);
}

TEST_CASE("worker, known shims and what is below them are not the backend's") {
    for (const pid_t pid : {keeper, 51, 60})
        CHECK(verdict_on(pid, {}) == Whose::another);
    CHECK(verdict_on(61, {one(61, 60, 61, 700, Evidence::hidden)}) == Whose::another);
    CHECK(verdict_on(61, {one(61, 51, 61, 700, Evidence::marked)}) == Whose::another);
}

TEST_CASE("an orphan that the keeper got is the backend's") {
    CHECK(verdict_on(80, {one(80, keeper, 80, 700, Evidence::clean)}) == Whose::backend);
}

TEST_CASE("a keeper that was born with children proves nothing by its orphans, but they count") {
    SurvivorQuery query = the_query();
    Process sleep;
    sleep.pid = 90;
    sleep.start_time = 99;
    query.innocents = {sleep};
    const std::vector<LookedAt> all{
        one(90, keeper, 40, 99, Evidence::clean), one(91, 90, 40, 900, Evidence::hidden),
        one(92, keeper, 92, 900, Evidence::clean), one(93, keeper, 93, 900, Evidence::marked),
        one(94, keeper, 94, 300, Evidence::clean)};
    CHECK(verdict_on(90, all, query) == Whose::another);
    CHECK(verdict_on(91, all, query) == Whose::another);
    CHECK(verdict_on(92, all, query) == Whose::unknown);
    CHECK(verdict_on(93, all, query) == Whose::backend);
    CHECK(verdict_on(94, all, query) == Whose::another);
    query.innocents[0].start_time = 98;                   // another process with its number
    CHECK(verdict_on(90, all, query) == Whose::another);  // by its start
    CHECK(verdict_on(91, all, query) == Whose::unknown);
}

TEST_CASE("an orphan that can't be looked into may be the backend's") {
    for (const Evidence evidence : unseen) {
        CHECK(verdict_on(80, {one(80, init, 80, 700, evidence)}) == Whose::unknown);
        CHECK(verdict_on(80, {one(80, init, 80, started, evidence)}) == Whose::unknown);
        CHECK(verdict_on(80, {one(80, 70, 80, 700, evidence)}) == Whose::unknown);  // a reaper?
        CHECK(verdict_on(80, {one(80, init, 79, 700, evidence)}) == Whose::unknown);
    }
    CHECK(verdict_on(80, {one(80, init, 80, 700, Evidence::clean)}) == Whose::another);
}

TEST_CASE("start time, user and cgroup show that one is another's") {
    for (const Evidence evidence : unseen) {
        CHECK(verdict_on(80, {one(80, init, 80, started - 1, evidence)}) == Whose::another);
        LookedAt other_user = one(80, init, 80, 700, evidence);
        other_user.uid = 0;
        CHECK(verdict_on(80, {other_user}) == Whose::another);
    }
    SurvivorQuery query = the_query();
    query.cgroup = 7;
    LookedAt agent = one(80, init, 80, 700, Evidence::hidden);
    CHECK(verdict_on(80, {agent}, query) == Whose::unknown);
    agent.cgroup = 7;
    CHECK(verdict_on(80, {agent}, query) == Whose::unknown);
    agent.cgroup = 8;
    CHECK(verdict_on(80, {agent}, query) == Whose::another);
    CHECK(verdict_on(80, {agent}) == Whose::unknown);  // the backend's isn't known
}

TEST_CASE("a backend of an earlier boot has left nothing") {
    SurvivorQuery query = the_query();
    query.started = std::numeric_limits<std::uint64_t>::max();
    CHECK(verdict_on(80, {one(80, init, 80, 700, Evidence::hidden)}, query) == Whose::another);
}

TEST_CASE("who is in another's session is another's") {
    for (const Evidence evidence : unseen) {
        CHECK(verdict_on(80, {one(80, init, 70, 700, evidence)}) == Whose::another);
        const LookedAt leader = one(79, init, 79, 650, Evidence::clean);
        CHECK(verdict_on(80, {leader, one(80, init, 79, 700, evidence)}) == Whose::another);
        const LookedAt hidden_leader = one(79, init, 79, 650, Evidence::hidden);
        CHECK(verdict_on(80, {hidden_leader, one(80, init, 79, 700, evidence)}) == Whose::unknown);
    }
}

TEST_CASE("the child of another's process that started after the backend is another's") {
    for (const Evidence evidence : unseen) {
        LookedAt sshd = one(79, init, 79, 650, Evidence::hidden);
        sshd.uid = 0;
        CHECK(verdict_on(80, {sshd, one(80, 79, 80, 700, evidence)}) == Whose::another);
        const LookedAt browser = one(79, init, 79, 650, Evidence::clean);
        const LookedAt zygote = one(80, 79, 80, 660, Evidence::hidden);
        CHECK(verdict_on(81, {browser, zygote, one(81, 80, 81, 700, evidence)}) == Whose::another);
    }
}

TEST_CASE("a parent or a leader that has ended says nothing") {
    LookedAt ended = one(79, init, 79, 650, Evidence::clean);
    ended.process.state = 'Z';
    CHECK(verdict_on(80, {ended, one(80, 79, 80, 700, Evidence::hidden)}) == Whose::unknown);
    CHECK(verdict_on(80, {ended, one(80, init, 79, 700, Evidence::hidden)}) == Whose::unknown);
}

TEST_CASE("zombies are nobody's, and a circle of parents ends") {
    LookedAt ended = one(80, init, 80, 700, Evidence::gone);
    ended.process.state = 'Z';
    CHECK(verdict_on(80, {ended}) == Whose::another);
    CHECK(verdict_on(80, {one(80, 81, 80, 700, Evidence::hidden),
                          one(81, 80, 81, 700, Evidence::hidden)}) == Whose::unknown);
}

TEST_CASE("the main process's session is the backend's, one with its number again is not") {
    SurvivorQuery query = the_query();
    query.main = Process{};
    query.main->pid = 80;
    query.main->start_time = 510;
    CHECK(verdict_on(81, {one(81, init, 80, 700, Evidence::clean)}, query) == Whose::backend);
    CHECK(verdict_on(81, {one(81, init, 80, 505, Evidence::clean)}, query) == Whose::another);
    CHECK(verdict_on(
              81,
              {one(80, init, 80, 600, Evidence::clean), one(81, init, 80, 700, Evidence::clean)},
              query) == Whose::another);
}

TEST_CASE("an orphan of a child that the keeper was born with is known by a session of before") {
    SurvivorQuery query = the_query();
    Process born;
    born.pid = 40;
    born.start_time = 90;
    query.innocents = {born};
    const auto orphan_in = [](pid_t session, Evidence evidence) {
        return one(80, keeper, session, 700, evidence);
    };
    for (const Evidence evidence : {Evidence::clean, Evidence::hidden, Evidence::gone}) {
        for (const pid_t session : {70, keeper}) {
            CAPTURE(session);
            CHECK(verdict_on(80, {orphan_in(session, evidence)}, query) == Whose::another);
        }
        CHECK(verdict_on(80, {orphan_in(80, evidence)}, query) == Whose::unknown);
        CHECK(verdict_on(80, {orphan_in(79, evidence)}, query) == Whose::unknown);
        const LookedAt leader = one(79, keeper, 79, 650, Evidence::clean);
        CHECK(verdict_on(80, {leader, orphan_in(79, evidence)}, query) == Whose::unknown);
        const LookedAt circle = one(79, keeper, 80, 650, Evidence::clean);
        CHECK(verdict_on(80, {circle, orphan_in(79, evidence)}, query) == Whose::unknown);
    }
    CHECK(verdict_on(80, {orphan_in(70, Evidence::marked)}, query) == Whose::backend);
}
