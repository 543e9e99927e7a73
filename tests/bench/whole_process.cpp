// `jamsock lookup`, and what a shell calls at Tab, from their start to their end, beside the least
// that a process can be, the least that a client of the same socket can be, and other commands that
// ask a daemon.
//
// usage: whole_process [smoke]
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <stdexcept>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/benchmark.h"
#include "tests/bench/support/servers.h"
#include "tests/bench/support/table.h"

using namespace jamsock;
using namespace jamsock::bench;

namespace {

using Clock = std::chrono::steady_clock;

const std::string key = "document-123";

struct Contestant {
    std::string name;
    std::vector<std::string> argv;  // empty: not installed
};

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words)
        list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

// Its words go to /dev/null. It must end with 0.
double milliseconds_of(std::vector<std::string> argv, std::vector<std::string> environment) {
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    ::posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    const auto words = pointers(argv);
    const auto variables = pointers(environment);
    pid_t child = 0;
    int status = 0;
    const auto begin = Clock::now();
    const int failed =
        ::posix_spawn(&child, words[0], &quiet, nullptr, words.data(), variables.data());
    if (failed || ::waitpid(child, &status, 0) != child || status != 0) {
        throw std::runtime_error(argv[0] + " fails");
    }
    const auto end = Clock::now();
    ::posix_spawn_file_actions_destroy(&quiet);
    return std::chrono::duration<double, std::milli>(end - begin).count();
}

std::vector<Series> race(const std::vector<Contestant>& contestants, const Extent& extent,
                         const std::vector<std::string>& environment) {
    std::vector<Series> series;
    for (const Contestant& contestant : contestants)
        series.push_back({contestant.name, {}});
    for (int round = 0; round < extent.rounds; ++round) {
        std::vector<std::vector<double>> times(contestants.size());
        for (int call = 0; call < extent.calls; ++call) {
            for (std::size_t i = 0; i < contestants.size(); ++i) {
                if (contestants[i].argv.empty()) continue;
                times[i].push_back(milliseconds_of(contestants[i].argv, environment));
            }
        }
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            if (!times[i].empty()) series[i].rounds.push_back(spread_of(times[i]).median);
        }
    }
    return series;
}

// Empty if the program is not installed.
std::vector<std::string> command(const std::string& program, std::vector<std::string> arguments) {
    const auto path = find_program(program);
    if (!path) return {};
    arguments.insert(arguments.begin(), *path);
    return arguments;
}

// A tmux server of our own with one session; ended with its object.
class TmuxServer {
  public:
    explicit TmuxServer(const test::Home& home) : home_(home) { run({"new-session", "-d", "cat"}); }
    TmuxServer(const TmuxServer&) = delete;
    TmuxServer& operator=(const TmuxServer&) = delete;
    ~TmuxServer() { run({"kill-server"}); }

    std::vector<std::string> command(const std::vector<std::string>& arguments) const {
        std::vector<std::string> words{"-S", home_.path() + "/tmux", "-f", "/dev/null"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        return ::command("tmux", words);
    }

  private:
    void run(const std::vector<std::string>& arguments) const {
        const auto argv = command(arguments);
        if (!argv.empty()) test::run(argv, home_.options());
    }

    const test::Home& home_;
};

}  // namespace

void jamsock::bench::measure(const Extent& extent) {
    const BenchHome home;
    home.connect(key);
    const std::string socket = home.server().socket;
    const std::string json = R"({"key":")" + key + R"(","spawn":false})";
    const RedisServer redis;
    const TmuxServer tmux(home.home());

    const std::vector<Contestant> contestants{
        {"jamsock lookup", {jamsock_program(), "lookup", "--key", key}},
        {"static client", {own_program("unix_client_static"), socket, connect_target, json}},
        {"dynamic client", {own_program("unix_client_dynamic"), socket, connect_target, json}},
        {"/bin/true", {"/bin/true"}},
        {"tmux has-session", tmux.command({"has-session"})},
        {"redis-cli get", redis.server().socket.empty()
                              ? std::vector<std::string>{}
                              : command("redis-cli", {"-s", redis.server().socket, "get", key})},
        {"curl", command("curl", {"-s", "--unix-socket", socket, "-d", json,
                                  std::string("http://localhost") + connect_target})}};
    std::vector<std::string> environment;
    for (const auto& [name, value] : home.home().options().environment)
        environment.push_back(name + "=" + value);
    const auto series = race(contestants, extent, environment);
    print_row(
        "`jamsock lookup` as a whole process", {" ms", 2}, series,
        Goal{.text = "≤ 1.25 × the static client", .most_times = 1.25, .program = "static client"});

    const std::vector<Contestant> completers{
        {"jamsock __complete", {jamsock_program(), "__complete", "lookup", "--key", "doc"}},
        contestants[1]};
    print_row("completions of a key, what Tab waits for", {" ms", 2},
              race(completers, extent, environment));
}
