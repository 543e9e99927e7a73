// The promise under fire: clients connect to a few keys while keeper, worker, shims and backends
// are killed at random. Every backend, and one child of it that escapes its tree, takes a lock of
// its own and writes a journal, so that two generations alive at once are seen whatever jamsock
// believes.
//
// usage: under_fire SECONDS [PROGRAMS [SEED]]
// Prints what happened; exits 0 if the promise held, 3 if two holders overlapped or a fencing token
// did not rise, 1 if something else went wrong.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "common/clock.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr int key_count = 5;
constexpr int client_count = 8;
constexpr std::chrono::milliseconds longest_pause{200};  // between two kills
constexpr std::chrono::seconds recovery_limit{10};
constexpr const char* service = "fire";

class Range {
  public:
    explicit Range(Home& home, unsigned seed) : home_(home), random_(seed) {}

    void fire(std::chrono::seconds duration);
    bool all_connectable();
    bool promise_held() const;
    bool was_fired_at() const;
    bool nothing_left();

  private:
    std::string key(int number) const { return "fire-" + std::to_string(number); }
    std::string journal(int number) const { return home_.path() + "/journal-" + key(number); }
    std::vector<std::string> connect_line(int number) const;
    void client();
    void kill_something();
    void kill(pid_t pid, const char* what);

    Home& home_;
    std::mt19937 random_;
    std::atomic<bool> over_ = false;
    std::atomic<int> connects_ = 0;
    std::map<std::string, int> kills_;
};

std::vector<std::string> Range::connect_line(int number) const {
    const std::string resource = home_.path() + "/resource-" + key(number);
    return {"connect", service,        "--key",      key(number), "--timeout", "20",
            "--",      test_backend(), "--resource", resource,    "--journal", journal(number)};
}

void Range::client() {
    std::mt19937 random(std::random_device{}());
    while (!over_) {
        const int number = static_cast<int>(random() % key_count);
        if (home_.jamsock(connect_line(number)).exit_code == 0) ++connects_;
    }
}

void Range::kill(pid_t pid, const char* what) {
    const auto process = read_process(pid);
    if (process && !process->is_zombie() && signal_process(*process, SIGKILL)) ++kills_[what];
}

void Range::kill_something() {
    const auto keepers = keepers_of(home_.path());
    const auto workers = workers_of(home_.path());
    const auto all_shims = shims_of(home_.path());
    const auto shim = all_shims.empty() ? Process{} : all_shims[random_() % all_shims.size()];
    switch (random_() % 6) {
        case 0:
            if (!keepers.empty()) kill(keepers[0], "keeper");
            break;
        case 1:
        case 2:
            if (!workers.empty()) kill(workers[0], "worker");
            break;
        case 3:
            if (shim.pid) kill(shim.pid, "shim");
            break;
        case 4: {
            const auto all = all_processes();
            const auto tree = shim.pid ? descendants(all, shim.pid) : std::vector<Process>{};
            if (!tree.empty()) kill(tree[random_() % tree.size()].pid, "backend");
            break;
        }
        default:  // keeper and shim in one breath: the case that only the inherited lock covers
            if (!keepers.empty()) kill(keepers[0], "keeper");
            if (shim.pid) kill(shim.pid, "shim");
            break;
    }
}

void Range::fire(std::chrono::seconds duration) {
    std::vector<std::jthread> clients;
    for (int i = 0; i < client_count; ++i)
        clients.emplace_back([this] { client(); });
    const auto end = BootClock::now() + duration;
    while (BootClock::now() < end) {
        const auto pause = std::chrono::milliseconds(random_() % longest_pause.count());
        ::poll(nullptr, 0, static_cast<int>(pause.count()));
        kill_something();
    }
    over_ = true;
}

bool Range::all_connectable() {
    const auto start = BootClock::now();
    bool all = true;
    for (int number = 0; number < key_count; ++number) {
        RunResult last;
        const bool connected = eventually(
            [&] {
                last = home_.jamsock(connect_line(number));
                return last.exit_code == 0;
            },
            recovery_limit);
        if (!connected) std::cout << key(number) << " is not connectable: " << last.err;
        all = all && connected && BootClock::now() - start < recovery_limit;
    }
    std::cout
        << "all keys connectable after "
        << std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - start).count()
        << " ms\n";
    return all;
}

// Each journal's starts carry rising tokens, and no process found its resource in use.
bool Range::promise_held() const {
    bool held = true;
    int starts = 0;
    for (int number = 0; number < key_count; ++number) {
        std::ifstream file(journal(number));
        std::int64_t last_token = 0;
        for (std::string event, role; file >> event;) {
            std::int64_t token = 0;
            pid_t pid = 0;
            file >> token >> pid >> role;
            if (event == "OVERLAP") {
                std::cout << key(number) << ": token " << token << " overlaps an earlier holder\n";
                held = false;
            }
            if (event != "start" || role != "main") continue;
            ++starts;
            if (token <= last_token) {
                std::cout << key(number) << ": token " << token << " after " << last_token << '\n';
                held = false;
            }
            last_token = token;
        }
    }
    std::cout << starts << " backends started, " << connects_ << " connects answered; killed:";
    for (const auto& [what, count] : kills_)
        std::cout << ' ' << count << ' ' << what << 's';
    std::cout << '\n';
    return held;
}

// A run in which nothing was killed, or nobody was answered, has shown nothing.
bool Range::was_fired_at() const {
    for (const char* what : {"keeper", "worker", "shim", "backend"}) {
        if (!kills_.contains(what)) return false;
    }
    return connects_ > 0;
}

// After a hard end of every key nothing of any backend is left, escaped or not. What is (with a
// shim that breaks the promise) is ended here, so that no run leaves anything behind.
bool Range::nothing_left() {
    for (int number = 0; number < key_count; ++number) {
        home_.jamsock({"terminate", service, "--hard", "--key", key(number)});
    }
    const std::string resources = home_.path() + "/resource-";
    if (eventually(
            [&] { return processes_naming(resources).empty() && shims_of(home_.path()).empty(); }))
        return true;
    const auto left = processes_naming(resources);
    std::cout << left.size() << " processes are left after the end of all backends\n";
    for (const pid_t pid : left)
        kill(pid, "left");
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: under_fire SECONDS [PROGRAMS [SEED]]\n";
        return 1;
    }
    const unsigned seed =
        argc > 3 ? static_cast<unsigned>(std::stoul(argv[3])) : std::random_device{}();
    std::cout << "seed " << seed << '\n';
    Home home(argc > 2 ? argv[2] : "");
    // What a backend whose main process was killed leaves gets its grace: less than the limit
    // within which every key must be connectable again.
    const RunResult made =
        home.jamsock({"service", "create", service, "--grace", "1", "--", test_backend()});
    if (made.exit_code != 0) {
        std::cerr << made.err;
        return 1;
    }
    Range range(home, seed);
    range.fire(std::chrono::seconds(std::stoi(argv[1])));
    const bool connectable = range.all_connectable();
    const bool held = range.promise_held();
    const bool clean = range.nothing_left();
    if (!held) return 3;
    return connectable && clean && range.was_fired_at() ? 0 : 1;
}
