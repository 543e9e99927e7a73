// The proxy beside nginx, HAProxy and a bare relay, all in front of one backend.
//
// usage: proxy [smoke] [OPTION]...     (--help names them)
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>

#include "tests/bench/support/idle_sockets.h"
#include "tests/bench/support/proxies.h"
#include "tests/bench/support/race.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

constexpr Unit per_second{"/s", 0};
constexpr Unit microseconds{" µs", 1};
constexpr Unit seconds{" s", 1};
constexpr Unit kibibytes{" KiB", 2};

struct Choice {
    std::vector<std::string> rows{"memory", "small", "large", "websocket"};
    std::vector<std::string> against{"nginx", "HAProxy", "relay"};
    std::vector<int> connections{1, 16, 64, 256};
    std::vector<int> sockets{1, 100, 1000};
    int idle = 5000;
    int rounds = 9;
    int slice_ms = 400;
    bool is_spread = false;

    bool has_row(const std::string& name) const { return std::ranges::count(rows, name) > 0; }
};

Choice smoke() {
    return {.connections = {1, 4}, .sockets = {1, 8}, .idle = 40, .rounds = 1, .slice_ms = 20};
}

Goal least(double times) {
    return {.text = fmt::format("≥ {} × nginx", times), .least_times = times, .program = "nginx"};
}

Goal most(double times) {
    return {.text = fmt::format("≤ {} × nginx", times), .most_times = times, .program = "nginx"};
}

std::optional<Goal> when(bool has_goal, Goal goal) {
    return has_goal ? std::optional(std::move(goal)) : std::nullopt;
}

// What each proxy adds to the direct way, the last one, in each round.
std::vector<Series> added(std::vector<Series> list) {
    const Series direct = std::move(list.back());
    list.pop_back();
    for (Series& series : list) {
        series.rounds.resize(std::min(series.rounds.size(), direct.rounds.size()));
        for (std::size_t i = 0; i < series.rounds.size(); ++i)
            series.rounds[i] -= direct.rounds[i];
    }
    return list;
}

class Benchmark {
  public:
    explicit Benchmark(const Choice& choice)
        : choice_(choice), proxies_(choice.against, choice.is_spread) {}

    // False: something failed; the table says what.
    bool run();

  private:
    using TalkThrough = Talk (*)(const std::string& prefix);

    // For those who want to trace or profile one of them.
    void tell_processes() const;
    Race race(TalkThrough talk, int connections, bool with_direct);
    void print_answers(const std::string& name, TalkThrough talk, double least_rate);
    void print_echoes();
    void print_idle();

    Choice choice_;
    Proxies proxies_;
    bool has_failures_ = false;
};

bool Benchmark::run() {
    tell_processes();
    if (choice_.has_row("memory")) print_idle();
    if (choice_.has_row("small")) print_answers("100 bytes", &get_small, 1.15);
    if (choice_.has_row("large")) print_answers("100 KB", &get_large, 1.2);
    if (choice_.has_row("websocket")) print_echoes();
    return !has_failures_;
}

void Benchmark::tell_processes() const {
    for (const auto& [server, prefix] : proxies_.ways())
        if (server.process) fmt::print(stderr, "{}: process {}\n", server.name, server.process);
}

Race Benchmark::race(TalkThrough talk, int connections, bool with_direct) {
    std::vector<Entrant> entrants;
    for (const Way& way : proxies_.ways())
        entrants.push_back({way.server, talk(way.prefix)});
    if (with_direct) entrants.push_back({proxies_.direct().server, talk("")});
    Race race(entrants, connections, {choice_.rounds, std::chrono::milliseconds(choice_.slice_ms)});
    has_failures_ = has_failures_ || race.has_failures();
    return race;
}

void Benchmark::print_answers(const std::string& name, TalkThrough talk, double least_rate) {
    const bool is_small = talk == &get_small;
    for (const int connections : choice_.connections) {
        const bool is_one = connections == 1;
        const bool has_goal = connections == 16 || connections == 64;
        const Race run = race(talk, connections, is_one);
        print_row(fmt::format("answers of {}, connections: {}; rate", name, connections),
                  per_second, run.figures(&Pace::per_second), when(has_goal, least(least_rate)));
        print_row("… p50", microseconds, run.figures(&Pace::median_us));
        print_row("… p99", microseconds, run.figures(&Pace::tail_us));
        print_row("… processor time of the proxy, a million", seconds, run.processor_times(),
                  when(has_goal && is_small, most(0.75)));
        if (!is_one) continue;
        print_row("… added to the direct p50", microseconds, added(run.figures(&Pace::median_us)),
                  when(is_small, most(1)));
    }
}

void Benchmark::print_echoes() {
    for (const int sockets : choice_.sockets) {
        const Race run = race(&websocket_echo, sockets, true);
        print_row(fmt::format("WebSocket echoes of 64 bytes, sockets: {}; rate", sockets),
                  per_second, run.figures(&Pace::per_second), when(sockets == 100, least(1.05)));
        print_row("… added to the direct p50", microseconds, added(run.figures(&Pace::median_us)));
        print_row("… added to the direct p99", microseconds, added(run.figures(&Pace::tail_us)));
        print_row("… processor time of the proxy, a million", seconds, run.processor_times());
    }
}

void Benchmark::print_idle() {
    std::vector<Series> open;
    std::vector<Series> closed;
    for (const Way& way : proxies_.ways()) {
        const IdleSockets idle = measure_idle_sockets(way, choice_.idle);
        has_failures_ = has_failures_ || !idle.failure.empty();
        open.push_back({way.server.name, idle.open_kib, idle.failure});
        closed.push_back({way.server.name, idle.closed_kib, idle.failure});
    }
    print_row(
        fmt::format("resident memory of the proxy for each of {} idle WebSockets", choice_.idle),
        kibibytes, open, Goal{.text = "≤ 1 KiB", .most = 1});
    print_row("… when all are closed", kibibytes, closed, Goal{.text = "≤ 0.1 KiB", .most = 0.1});
}

// As many descriptors as may be: each idle WebSocket takes two of a proxy.
void raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

template <class List>
void add_list(CLI::App& app, const std::string& name, List& list, const std::string& what) {
    app.add_option(name, list, what)->delimiter(',')->capture_default_str();
}

void add_options(CLI::App& app, Choice& choice) {
    add_list(app, "--rows", choice.rows, "of memory, small, large and websocket");
    add_list(app, "--against", choice.against, "of nginx, HAProxy and relay");
    add_list(app, "--connections", choice.connections, "how many in each row of answers");
    add_list(app, "--sockets", choice.sockets, "how many in each row of echoes");
    app.add_option("--idle", choice.idle, "idle WebSockets")->capture_default_str();
    app.add_option("--rounds", choice.rounds)->capture_default_str();
    app.add_option("--slice", choice.slice_ms, "of one program in a round, in milliseconds")
        ->capture_default_str();
    app.add_flag("--spread", choice.is_spread, "all on all processors; else the proxies on one");
}

}  // namespace

int main(int argc, char** argv) {
    doctest::Context checks;  // those of the tests' support code
    checks.setAsDefaultForAssertsOutOfTestCases();
    const bool is_smoke = argc == 2 && std::string_view(argv[1]) == "smoke";
    Choice choice = is_smoke ? smoke() : Choice{};
    CLI::App app("Measures the proxy beside others. Prints rows of a Markdown table.");
    add_options(app, choice);
    if (!is_smoke) CLI11_PARSE(app, argc, argv);
    raise_descriptor_limit();
    try {
        return Benchmark(choice).run() ? 0 : 1;
    } catch (const std::exception& failure) {
        std::cerr << argv[0] << ": " << failure.what() << '\n';
        return 1;
    }
}
