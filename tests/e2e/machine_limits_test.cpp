// The machine's own limits: who is too many is told so; who runs goes on; and it recovers.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr int clients = 1000;

ConnectRequest request_for(const std::string& key) {
    return {.key = Key::parse(key).value(), .command = Command{{test_backend()}, "/"}};
}

void start_daemon_with_descriptors(const Home& home, int count) {
    const std::string script = "ulimit -n " + std::to_string(count) + "; exec \"$0\" daemon start";
    const RunResult started =
        run({"/bin/sh", "-c", script, JAMSOCK_BUILD_DIR "/bin/jamsock"}, home.options());
    INFO(started.err);
    REQUIRE(started.exit_code == 0);
}

// A thousand new keys at once; what each was answered.
std::vector<Result<ConnectResponse>> connect_thousand(const Home& home) {
    const auto unasked = [] { return fail(ErrorCode::internal, "not asked"); };
    std::vector<Result<ConnectResponse>> answers(clients, unasked());
    std::latch all_are_here(clients);
    std::vector<std::jthread> threads;
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&, i] {
            const auto request = request_for(home.own_key("many-" + std::to_string(i)));
            all_are_here.arrive_and_wait();
            answers[static_cast<std::size_t>(i)] = home.connect(request);
        });
    }
    threads.clear();
    return answers;
}

void end_all(const Home& home) {
    for (const KeyEntry& entry : home.keys())
        home.post("/v2/backend/" + entry.backend_id.str() + "/terminate", R"({"hard":true})");
    CHECK(eventually([&] { return home.keys().empty(); }));
}

}  // namespace

TEST_CASE("under 256 descriptors a thousand new keys end as some backends and clear refusals") {
    const Home home;
    start_daemon_with_descriptors(home, 256);
    const pid_t worker = home.worker();
    const std::size_t base = descriptors_of(worker).size();
    const std::string url = home.connect(request_for(home.own_key("running"))).value().url;

    std::atomic<bool> over = false;
    int fetched = 0;
    int failed = 0;
    std::jthread user([&] {
        while (!over)
            ++(fetch(url).status == 200 ? fetched : failed);
    });
    const auto answers = connect_thousand(home);
    over = true;
    user.join();

    const auto started = std::ranges::count_if(answers, [](auto& answer) { return !!answer; });
    MESSAGE(started, " backends started; meanwhile requests to the running one: ", fetched);
    CHECK(started > 0);
    for (const auto& answer : answers) {
        if (answer) continue;
        INFO(answer.error().message);
        REQUIRE(answer.error().code == ErrorCode::usage_limit);
        CHECK_FALSE(answer.error().hint.empty());
    }
    CHECK(fetched > 0);
    CHECK(failed == 0);
    CHECK(home.keys().size() == static_cast<std::size_t>(started) + 1);
    CHECK(home.worker() == worker);

    end_all(home);
    CHECK(eventually([&] { return descriptors_of(worker).size() <= base; }));
    CHECK(home.connect(request_for(home.own_key("afterwards"))).has_value());
}
