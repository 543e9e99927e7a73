// How backends ended while no daemon ran is known once one runs again.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "common/backend_state.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// One backend and the end that it will be told to have.
struct Life {
    std::string request;
    ProcessExit exit;
    std::optional<BackendInfo> backend;
};

std::vector<Life> all_ends() {
    std::vector<Life> lives;
    for (int code = 0; code <= 255; ++code)
        lives.push_back({fmt::format("/exit?code={}", code), {code, std::nullopt}, {}});
    for (const int signal : {SIGTERM, SIGKILL, SIGSEGV, SIGABRT})
        lives.push_back({fmt::format("/raise?signal={}", signal), {std::nullopt, signal}, {}});
    return lives;
}

void start_all(const Home& home, std::span<Life> lives) {
    std::vector<std::jthread> threads;
    for (Life& life : lives) {
        threads.emplace_back([&] {
            const ConnectRequest request{.key = Key::parse(life.request).value(),
                                         .command = Command{{test_backend()}, "/"}};
            if (const auto response = home.connect(request))
                life.backend = home.backend(response->backend_id);
        });
    }
}

// Straight to their ports: no daemon runs.
void end_all(std::span<Life> lives) {
    for (const Life& life : lives) {
        REQUIRE(life.backend);
        fetch(fmt::format("http://127.0.0.1:{}{}", life.backend->port, life.request));
    }
}

void check_told(const Home& home, const Life& life) {
    CAPTURE(life.request);
    const std::string id = life.backend->id.str();
    const StatusChange end = home.backend(life.backend->id).statuses.back();
    CHECK(end.status == Status::terminated);
    CHECK(end.exit == life.exit);
    CHECK_FALSE(end.reason.has_value());
    CHECK(home.output_of({"status", id}).find(describe(life.exit)) != std::string::npos);
}

}  // namespace

TEST_CASE(
    "every exit code and signal of a backend that ended while no daemon ran is told exactly") {
    constexpr std::size_t at_once = 65;
    const Home home;
    home.output_of({"daemon", "start"});
    std::vector<Life> lives = all_ends();
    REQUIRE(lives.size() == 4 * at_once);
    for (std::size_t first = 0; first < lives.size(); first += at_once) {
        const std::span batch(&lives[first], at_once);
        start_all(home, batch);
        home.output_of({"daemon", "stop"});
        end_all(batch);
        REQUIRE(eventually([&] { return shims_of(home.path()).empty(); }));
        home.output_of({"daemon", "start"});
        CHECK(home.keys().empty());
    }
    for (const Life& life : lives)
        check_told(home, life);
}
