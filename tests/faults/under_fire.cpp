// The promise under fire: clients connect to a few keys while keeper, worker, shims and backends
// are killed at random. Every backend, and one child of it that escapes its tree, takes a lock of
// its own and writes a journal, so that two generations alive at once are seen whatever jamsock
// believes. Some keys' backends have children that are hard to find or to look into
// (tests/support/elusive.h). What an ordinary user's daemon can't prove to be gone keeps its key,
// and is named: a person, as the ordinary user has one here, kills what the note says.
//
// usage: under_fire SECONDS [PROGRAMS [SEED]]
// Prints what happened; exits 0 if the promise held, 3 if two holders overlapped or a fencing token
// did not rise, 1 if something else went wrong.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "common/clock.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

const std::array<std::vector<const char*>, 5> shapes{{
    // of each key's backends
    {},
    {"--end-main-thread", "--fork-headless"},
    {"--fork-undumpable"},
    {"--fork-storm"},
    {"--fork-headless", "--fork-undumpable", "--fork-storm"},
}};
constexpr int key_count = shapes.size();
constexpr int client_count = 8;
constexpr std::chrono::milliseconds longest_pause{200};  // between two kills
constexpr std::chrono::seconds recovery_limit{10};
constexpr std::chrono::milliseconds look_pause{200};  // of the person, between two looks
constexpr const char* service = "fire";

// The numbers behind "kill " in `text`.
std::vector<pid_t> pids_to_kill(const std::string& text) {
    const std::string command = "kill ";
    const std::size_t at = text.find(command);
    if (at == std::string::npos) return {};
    std::istringstream numbers(text.substr(at + command.size()));
    std::vector<pid_t> pids;
    for (pid_t pid = 0; numbers >> pid;)
        pids.push_back(pid);
    return pids;
}

class Range {
  public:
    explicit Range(Home& home, unsigned seed) : home_(home), random_(seed) {}

    void fire(std::chrono::seconds duration);
    bool all_connectable();
    bool promise_held() const;
    bool was_fired_at() const;
    bool nothing_left();
    std::jthread person();

  private:
    std::string key(int number) const { return "fire-" + std::to_string(number); }
    std::string journal(int number) const { return home_.path() + "/journal-" + key(number); }
    std::string resources() const { return home_.path() + "/resource-"; }
    std::vector<std::string> connect_line(int number) const;
    void client();
    void do_what_notes_say();
    void kill_something();
    bool kill(pid_t pid, const char* what);

    Home& home_;
    std::mt19937 random_;
    std::atomic<bool> over_ = false;
    std::atomic<int> connects_ = 0;
    std::atomic<int> killed_by_note_ = 0;
    std::map<std::string, int> kills_;
};

std::vector<std::string> Range::connect_line(int number) const {
    const std::string resource = resources() + key(number);
    std::vector<std::string> line{"connect",    service,  "--key",     key(number),
                                  "--timeout",  "20",     "--",        test_backend(),
                                  "--resource", resource, "--journal", journal(number)};
    for (const std::string option : shapes[static_cast<std::size_t>(number)]) {
        line.push_back(option);
        if (option.starts_with("--fork-")) line.push_back(resource);  // its name
    }
    return line;
}

void Range::client() {
    std::mt19937 random(std::random_device{}());
    while (!over_) {
        const int number = static_cast<int>(random() % key_count);
        if (home_.jamsock(connect_line(number)).exit_code == 0) ++connects_;
    }
}

// Only of this run: what a note names wrongly is somebody's.
void Range::do_what_notes_say() {
    for (const KeyEntry& entry : home_.keys()) {
        const auto backend =
            BackendInfo::from_json(home_.get("/v2/backend/" + entry.backend_id.str()).body);
        for (const pid_t pid : pids_to_kill(backend ? backend->note.value_or("") : "")) {
            const auto ours = processes_naming(resources());
            const auto process = read_process(pid);
            if (process && std::ranges::find(ours, pid) != ours.end() &&
                signal_process(*process, SIGKILL)) {
                ++killed_by_note_;
            }
        }
    }
}

std::jthread Range::person() {
    return std::jthread([this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            do_what_notes_say();
            ::poll(nullptr, 0, static_cast<int>(look_pause.count()));
        }
    });
}

bool Range::kill(pid_t pid, const char* what) {
    const auto process = read_process(pid);
    const bool is_killed = process && !process->is_zombie() && signal_process(*process, SIGKILL);
    if (is_killed) ++kills_[what];
    return is_killed;
}

// Looks only for what it will kill: a look at all processes takes long beside those that replace
// themselves.
void Range::kill_something() {
    const auto kill_first = [this](const std::vector<pid_t>& pids, const char* what) {
        if (!pids.empty()) kill(pids[0], what);
    };
    const auto any_shim = [this] {
        const auto all = shims_of(home_.path());
        return all.empty() ? Process{} : all[random_() % all.size()];
    };
    switch (random_() % 6) {
        case 0:
            kill_first(keepers_of(home_.path()), "keeper");
            break;
        case 1:
            kill_first(workers_of(home_.path()), "worker");
            break;
        case 2:
            if (const Process shim = any_shim(); shim.pid) kill(shim.pid, "shim");
            break;
        case 3:
        case 4:
            if (const Process shim = any_shim(); shim.pid) {
                auto tree = descendants(all_processes(), shim.pid);
                std::ranges::shuffle(tree, random_);
                // One that replaces itself is gone before it is killed.
                std::ranges::any_of(
                    tree, [&](const Process& member) { return kill(member.pid, "backend"); });
            }
            break;
        default: {  // in one breath: the case that only the inherited lock covers
            const auto keepers = keepers_of(home_.path());
            const Process shim = any_shim();
            kill_first(keepers, "keeper");
            if (shim.pid) kill(shim.pid, "shim");
            break;
        }
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
    std::cout << "; by what notes said: " << killed_by_note_ << '\n';
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
    if (eventually([&] {
            return processes_naming(resources()).empty() && shims_of(home_.path()).empty();
        }))
        return true;
    const auto left = processes_naming(resources());
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
    const std::jthread person = ::geteuid() == 0 ? std::jthread() : range.person();
    range.fire(std::chrono::seconds(std::stoi(argv[1])));
    const bool connectable = range.all_connectable();
    const bool held = range.promise_held();
    const bool clean = range.nothing_left();
    if (!held) return 3;
    return connectable && clean && range.was_fired_at() ? 0 : 1;
}
