// Requests race the idle clock: many keys whose backends may be idle for one second, and clients
// that use a URL again at about the moment at which its backend is swept. A request that is let in
// gets its whole answer; one that isn't gets a 410, and nothing of it reaches the backend.
//
// usage: idle_race SECONDS
// Prints what happened; exits 0 if that held and every idle backend ended, 3 if a request was cut,
// 1 if something else went wrong or the run showed nothing.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "common/clock.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr int key_count = 30;
constexpr int client_count = 60;
constexpr const char* service = "race";
// Limit, the pause between two looks, grace, and something for a busy machine.
constexpr std::chrono::seconds end_limit{1 + 1 + 2 + 6};

struct Kind {
    const char* name;
    const char* target;
    std::string answer;
};

const std::array kinds{
    Kind{"quick", "/quick", "ok\n"},
    Kind{"300 ms", "/stream?n=4&ms=100", "chunk 0\nchunk 1\nchunk 2\nchunk 3\n"},
    Kind{"longer than the limit", "/stream?n=3&ms=700", "chunk 0\nchunk 1\nchunk 2\n"},
};

class Race {
  public:
    explicit Race(const Home& home) : home_(home) {}

    void run(std::chrono::seconds duration);
    bool all_ended() const;
    bool nothing_cut() const;
    bool refusals_were_clean() const;
    bool has_shown_something() const;

  private:
    void client(unsigned seed);
    std::optional<ConnectResponse> connect(int number);
    void use(const ConnectResponse& held, std::mt19937& random);
    void ask(httplib::Client& client, const std::string& path, const Kind& kind);
    void fail(const std::string& what);
    bool was_swept(const BackendId& id) const;
    std::string all_logs() const;

    const Home& home_;
    std::atomic<bool> over_ = false;
    std::atomic<int> last_request_ = 0;

    mutable std::mutex mutex_;  // of all below
    std::set<BackendId> backends_;
    std::map<std::string, int> answered_;
    std::vector<std::string> answered_ids_;
    std::vector<std::string> refused_ids_;
    std::vector<std::string> failures_;
};

void Race::run(std::chrono::seconds duration) {
    std::vector<std::jthread> clients;
    std::random_device seeds;
    for (int i = 0; i < client_count; ++i)
        clients.emplace_back([this, seed = seeds()] { client(seed); });
    std::this_thread::sleep_for(duration);
    over_ = true;
}

void Race::client(unsigned seed) {
    std::mt19937 random(seed);
    while (!over_) {
        const auto held = connect(static_cast<int>(random() % key_count));
        if (held) use(*held, random);
    }
}

std::optional<ConnectResponse> Race::connect(int number) {
    const ConnectRequest request{.key = Key::parse(fmt::format("race-{}", number)).value()};
    const Answer answer = home_.post(
        fmt::format("/v2/service/local/{}/connect?wait=ready", service), request.to_json());
    if (answer.status != 200) {
        fail(fmt::format("connect: {} {}", answer.status, answer.body));
        return std::nullopt;
    }
    auto response = ConnectResponse::from_json(answer.body).value();
    const std::lock_guard lock(mutex_);
    backends_.insert(response.backend_id);
    return response;
}

// A few requests, each at about the moment at which the last one's second is over. On a connection
// of their own or all on one.
void Race::use(const ConnectResponse& held, std::mt19937& random) {
    const auto slash = held.url.find('/', std::string_view("http://").size());
    httplib::Client client(held.url.substr(0, slash));
    client.set_keep_alive(random() % 2 == 0);
    for (int i = 0; i < 3 && !over_; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(800 + random() % 1400));
        ask(client, held.url.substr(slash + 1), kinds[random() % kinds.size()]);
    }
}

void Race::ask(httplib::Client& client, const std::string& path, const Kind& kind) {
    const std::string id = fmt::format("id-{}-", ++last_request_);
    const std::string target = kind.target;
    const std::string query = (target.find('?') == std::string::npos ? "?" : "&") + id;
    const auto result = client.Get("/" + path + target.substr(1) + query);
    const std::lock_guard lock(mutex_);
    if (result && result->status == 200 && result->body == kind.answer) {
        ++answered_[kind.name];
        answered_ids_.push_back(id);
    } else if (result && result->status == 410) {
        refused_ids_.push_back(id);
    } else {
        failures_.push_back(fmt::format("{} {}: {}", kind.name, id,
                                        result ? fmt::format("{} {}", result->status, result->body)
                                               : httplib::to_string(result.error())));
    }
}

void Race::fail(const std::string& what) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(what);
}

bool Race::was_swept(const BackendId& id) const {
    const auto info = BackendInfo::from_json(home_.get("/v2/backend/" + id.str()).body);
    return info && info->statuses.back().reason == TerminationReason::swept;
}

// Every backend that was given out ended because it was idle, and in no other way.
bool Race::all_ended() const {
    const auto begin = BootClock::now();
    const bool ended = eventually(
        [&] { return home_.keys().empty() && shims_of(home_.path()).empty(); }, end_limit);
    std::cout
        << "all backends ended after "
        << std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - begin).count()
        << " ms\n";
    int others = 0;
    for (const BackendId& id : backends_) {
        if (!was_swept(id)) ++others;
    }
    std::cout << backends_.size() << " backends, " << others << " of them not swept\n";
    return ended && others == 0;
}

bool Race::nothing_cut() const {
    for (const auto& [kind, count] : answered_)
        std::cout << count << " answered (" << kind << "), ";
    std::cout << refused_ids_.size() << " refused, " << failures_.size() << " failed\n";
    for (const std::string& failure : failures_)
        std::cout << "failed: " << failure << '\n';
    return failures_.empty();
}

std::string Race::all_logs() const {
    std::string text;
    for (const auto& entry : std::filesystem::directory_iterator(home_.path() + "/history"))
        text += content_of(entry.path().string() + "/output.log");
    return text;
}

// What was refused never came to a backend; what was answered came once.
bool Race::refusals_were_clean() const {
    const std::string logs = all_logs();
    std::map<std::string, int> seen;
    for (std::size_t at = logs.find("id-"); at != std::string::npos; at = logs.find("id-", at + 1))
        ++seen[logs.substr(at, logs.find('-', at + 3) + 1 - at)];
    bool clean = true;
    for (const std::string& id : refused_ids_) {
        if (!seen.contains(id)) continue;
        std::cout << id << " was refused, and came to a backend\n";
        clean = false;
    }
    for (const std::string& id : answered_ids_) {
        if (seen[id] == 1) continue;
        std::cout << id << " was answered, and came to a backend " << seen[id] << " times\n";
        clean = false;
    }
    return clean;
}

bool Race::has_shown_something() const {
    const bool both = answered_.size() == kinds.size() && !refused_ids_.empty();
    if (!both) std::cout << "the run has shown nothing: it needs both outcomes\n";
    return both;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: idle_race SECONDS\n";
        return 1;
    }
    const Home home;
    const RunResult made = home.jamsock({"service", "create", service, "--max-idle", "1", "--grace",
                                         "2", "--", test_backend(), "--log-requests"});
    if (made.exit_code != 0) {
        std::cerr << made.err;
        return 1;
    }
    Race race(home);
    race.run(std::chrono::seconds(std::stoi(argv[1])));
    const bool ended = race.all_ended();
    const bool whole = race.nothing_cut();
    const bool clean = race.refusals_were_clean();
    if (!whole || !clean) return 3;
    return ended && race.has_shown_something() ? 0 : 1;
}
