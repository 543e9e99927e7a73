// Many who ask at once: one backend, one daemon.
#include <doctest/doctest.h>

#include <algorithm>
#include <latch>
#include <set>
#include <thread>

#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

TEST_CASE("a thousand concurrent connects to one new key start one process") {
    Home home;
    home.output_of({"daemon", "start"});
    const std::string key = home.own_key("one-of-a-thousand");
    constexpr int clients = 1000;
    std::vector<Answer> answers(clients);
    std::latch all_are_here(clients);
    {
        std::vector<std::jthread> threads;
        for (Answer& answer : answers) {
            threads.emplace_back([&] {
                all_are_here.arrive_and_wait();
                answer = home.post("/v2/service/local/default/connect?wait=ready",
                                   R"({"key":")" + key + R"("})");
            });
        }
    }
    int spawned = 0;
    std::set<BackendId> ids;
    for (const Answer& answer : answers) {
        REQUIRE(answer.status == 200);
        const auto response = ConnectResponse::from_json(answer.body).value();
        ids.insert(response.backend_id);
        if (response.spawned) ++spawned;
    }
    CHECK(spawned == 1);
    CHECK(ids.size() == 1);
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).size() == 1);
}

TEST_CASE("fifty concurrent connects with no daemon running start one daemon and one process") {
    Home home;
    const std::string key = home.own_key("one-of-fifty");
    std::vector<Child> children;
    for (int i = 0; i < 50; ++i) {
        children.push_back(home.start_jamsock({"connect", "--key", key, "--json"}));
    }
    int spawned = 0;
    std::set<BackendId> ids;
    for (Child& child : children) {
        const RunResult result = child.wait();
        INFO(result.err);
        REQUIRE(result.exit_code == 0);
        const auto response = ConnectResponse::from_json(result.out).value();
        ids.insert(response.backend_id);
        if (response.spawned) ++spawned;
    }
    CHECK(spawned == 1);
    CHECK(ids.size() == 1);
    CHECK(keepers_of(home.path()).size() == 1);
    CHECK(workers_of(home.path()).size() == 1);
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).size() == 1);
}
