// From nothing to a ready backend: connect of a fresh key, beside the same backend spawned bare and
// asked until it answers, with the same pauses; and beside one write that is waited for until it is
// on the disk, of which a connect needs some.
//
// usage: fresh_key [smoke]
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "common/timeouts.h"
#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

void pause_for(std::chrono::nanoseconds duration) {
    const timespec time{0, static_cast<long>(duration.count())};
    ::nanosleep(&time, nullptr);
}

// The request that the daemon sends as well.
bool answers_http(std::uint16_t port) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return false;
    const std::string request =
        fmt::format("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", port);
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
    char answer[5];
    return ::recv(fd.get(), answer, sizeof answer, MSG_WAITALL) == sizeof answer;
}

constexpr double longest_start = 10'000;  // milliseconds

double spawn_bare() {
    const std::uint16_t port = free_port();
    std::string program = own_program("tiny_backend");
    std::string variable = fmt::format("PORT={}", port);
    char* const argv[] = {program.data(), nullptr};
    char* const environment[] = {variable.data(), nullptr};
    pid_t child = 0;
    const auto begin = Clock::now();
    if (::posix_spawn(&child, argv[0], nullptr, nullptr, argv, environment) != 0) {
        throw std::runtime_error("the backend can't be spawned");
    }
    std::chrono::nanoseconds pause = timeouts::first_probe_pause;
    while (!answers_http(port)) {
        if (milliseconds_since(begin) > longest_start) {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
            throw std::runtime_error("the backend doesn't answer");
        }
        pause_for(pause);
        pause = std::min<std::chrono::nanoseconds>(pause * 2, timeouts::last_probe_pause);
    }
    const double time = milliseconds_since(begin);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return time;
}

double write_durably(int fd) {
    const std::array<char, 4096> page{};
    const auto begin = Clock::now();
    if (::pwrite(fd, page.data(), page.size(), 0) < 0 || ::fdatasync(fd) != 0) {
        throw std::runtime_error("the disk can't be written");
    }
    return milliseconds_since(begin);
}

// Its backend is ended before the next one is started.
double connect_fresh(Conversation& jamsock, const std::string& key) {
    const std::string request =
        post_text(fmt::format("{}?wait=ready", connect_target), tiny_backend(key).to_json());
    const auto begin = Clock::now();
    const std::string_view answer = jamsock.ask(request);
    const double time = milliseconds_since(begin);
    const auto backend = ConnectResponse::from_json(answer.substr(answer.find("\r\n\r\n") + 4));
    if (!backend || !backend->spawned) throw std::runtime_error("no backend was spawned");
    jamsock.ask(post_text(
        fmt::format("/v2/backend/{}/terminate?wait=terminated", backend->backend_id.str()),
        TerminateRequest{.kind = TerminationKind::hard}.to_json()));
    return time;
}

}  // namespace

void jamsock::bench::measure(const Extent& extent) {
    const BenchHome home;
    Conversation jamsock(home.server(), {});
    Series fresh{"jamsock", {}};
    Series bare{"spawned bare", {}};
    Series durable{"one write and fdatasync", {}};
    const std::string path = home.home().path() + "/written";
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    for (int round = 0; round < extent.rounds; ++round) {
        std::vector<double> fresh_times;
        std::vector<double> bare_times;
        std::vector<double> durable_times;
        for (int call = 0; call < extent.calls; ++call) {
            fresh_times.push_back(connect_fresh(jamsock, fmt::format("key-{}-{}", round, call)));
            bare_times.push_back(spawn_bare());
            durable_times.push_back(write_durably(file.get()));
        }
        fresh.rounds.push_back(spread_of(fresh_times).median);
        bare.rounds.push_back(spread_of(bare_times).median);
        durable.rounds.push_back(spread_of(durable_times).median);
    }
    print_row("connect of a fresh key until ready, tiny backend", {" ms", 2},
              {fresh, bare, durable},
              Goal{.text = "≤ 2 × bare", .most_times = 2, .program = "spawned bare"});
}
