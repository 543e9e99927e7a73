// The life of a backend through the real programs: its statuses as they are told, the ways to end
// it, and what holds its end up.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "common/unique_fd.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

BackendId connected(const Home& home, const std::string& key,
                    const std::vector<std::string>& program = {}) {
    std::vector<std::string> words{"connect", "--key", key, "--json"};
    if (!program.empty()) {
        words.emplace_back("--");
        words.insert(words.end(), program.begin(), program.end());
    }
    return ConnectResponse::from_json(home.output_of(words)).value().backend_id;
}

pid_t shim_of(const Home& home, const BackendId& id) {
    return parent_of(home.backend(id).pid.value());
}

bool has_ended(const Home& home, const BackendId& id) {
    return home.backend(id).statuses.back().status == Status::terminated;
}

// The words of `"status":"…"` in a stream's events, in order.
std::vector<std::string> statuses_in(const std::string& events) {
    constexpr std::string_view name = R"("status":")";
    std::vector<std::string> words;
    for (auto at = events.find(name); at != std::string::npos; at = events.find(name, at)) {
        at += name.size();
        words.push_back(events.substr(at, events.find('"', at) - at));
    }
    return words;
}

// A debugger's hold on a process: no signal but KILL moves it.
class Hold {
  public:
    explicit Hold(pid_t pid) : pid_(pid) {
        REQUIRE(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0);
        REQUIRE(::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) == 0);
        REQUIRE(::waitpid(pid, nullptr, 0) == pid);
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr); }

    // Whether it was killed meanwhile.
    bool is_over() const {
        int status = 0;
        return ::waitpid(pid_, &status, WNOHANG) == pid_ && WIFSIGNALED(status);
    }

  private:
    pid_t pid_;
};

// All lock files of a home, locked: a start of their keys waits in `loading`, for a second.
std::vector<UniqueFd> take_all_locks(const Home& home) {
    std::vector<UniqueFd> locks;
    for (const auto& file : std::filesystem::directory_iterator(home.path() + "/locks")) {
        locks.emplace_back(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(::flock(locks.back().get(), LOCK_EX) == 0);
    }
    return locks;
}

std::vector<std::string> history_of(const Home& home, const BackendId& id) {
    return statuses_in(home.get("/v2/backend/" + id.str() + "/status/stream").body);
}

}  // namespace

TEST_CASE("a status stream tells a backend's whole life, each status once, and then ends") {
    Home home;
    home.output_of({"daemon", "start"});
    const auto response = home.connect({.key = Key::parse("doc").value()}, /*wait=*/false).value();
    const std::string target = "/v2/backend/" + response.backend_id.str() + "/status/stream";
    std::string live;
    std::thread subscriber([&] {
        const auto client = home.client();
        client->Get(target, [&](const char* data, std::size_t size) {
            live.append(data, size);
            return true;
        });
    });
    REQUIRE(eventually(
        [&] { return home.backend(response.backend_id).statuses.back().status == Status::ready; }));
    home.output_of({"terminate", response.backend_id.str()});
    subscriber.join();
    const std::vector<std::string> whole{"scheduled", "loading",     "starting",  "waiting",
                                         "ready",     "terminating", "terminated"};
    CHECK(statuses_in(live) == whole);
    CHECK(statuses_in(home.get(target).body) == whole);
    CHECK(live.starts_with("data:{\"status\":\"scheduled\",\"time\":\""));
    CHECK(live.ends_with("}\n\n"));
}

TEST_CASE("a status stream is closed in order when the daemon stops, and goes on from the next") {
    Home home;
    const BackendId id = connected(home, "doc");
    const std::string target = "/v2/backend/" + id.str() + "/status/stream";
    bool closed_in_order = false;
    std::atomic<bool> has_begun = false;
    std::thread subscriber([&] {
        const auto client = home.client();
        const auto result = client->Get(target, [&](const char*, std::size_t) {
            has_begun = true;
            return true;
        });
        closed_in_order = result && result->status == 200;
    });
    REQUIRE(eventually([&] { return has_begun.load(); }));
    home.output_of({"daemon", "restart"});
    subscriber.join();
    CHECK(closed_in_order);
    home.output_of({"terminate", id.str()});
    CHECK(statuses_in(home.get(target).body).back() == "terminated");
}

TEST_CASE("terminate takes several keys; one that nobody holds stops no other") {
    Home home;
    connected(home, "a");
    connected(home, "b");
    const RunResult ended =
        home.jamsock({"terminate", "--key", "a", "--key", "nobody", "--key", "b"});
    CHECK(ended.exit_code == 3);
    CHECK(std::ranges::count(ended.out, '\n') == 2);
    CHECK(ended.err.starts_with("jamsock: No backend holds the key 'nobody'.\n"));
    CHECK(home.keys().empty());
}

TEST_CASE("a terminate takes effect once, also before there is a process to end") {
    Home home;
    const auto many = 4 * std::thread::hardware_concurrency() + 2;  // than start at the same time
    std::vector<std::string> terminate{"terminate"};
    for (unsigned i = 0; i < many; ++i) {
        const std::string key = "k" + std::to_string(i);
        connected(home, key);
        terminate.insert(terminate.end(), {"--key", key});
    }
    home.output_of(terminate);
    const auto locks = take_all_locks(home);
    std::vector<BackendId> ids;
    for (unsigned i = 0; i < many; ++i) {
        const auto key = Key::parse("k" + std::to_string(i)).value();
        ids.push_back(home.connect({.key = key}, /*wait=*/false).value().backend_id);
        const auto status = [&] { return home.backend(ids.back()).statuses.back().status; };
        if (i == 0) REQUIRE(eventually([&] { return status() == Status::loading; }));
        for (int twice = 0; twice < 2; ++twice)
            home.post("/v2/backend/" + ids.back().str() + "/terminate", "");
    }
    CHECK(eventually([&] { return home.keys().empty(); }));
    CHECK(history_of(home, ids.front()) ==
          std::vector<std::string>{"scheduled", "loading", "terminating", "terminated"});
    CHECK(history_of(home, ids.back()) ==
          std::vector<std::string>{"scheduled", "terminating", "terminated"});
    for (const BackendId& id : ids) {
        CHECK(std::ranges::count(history_of(home, id), "starting") == 0);
        CHECK(std::ranges::count(history_of(home, id), "terminating") == 1);
    }
}

TEST_CASE("a running backend is told TERM once, ready or not; a hard end overtakes a soft one") {
    Home home;
    home.output_of({"daemon", "start"});
    for (const bool gets_ready : {true, false}) {
        CAPTURE(gets_ready);
        const std::string server = gets_ready ? test_backend() : "sleep 1000";
        const std::vector<std::string> program{"/bin/sh", "-c",
                                               "trap 'echo TERM' TERM; (trap '' TERM; exec " +
                                                   server +
                                                   ") & echo up; while :; do sleep 0.05; done"};
        const auto key = Key::parse("k").value();
        const ConnectRequest request{.key = key, .command = Command{program, "/"}};
        const auto id = home.connect(request, gets_ready).value().backend_id;
        const auto output = [&] { return home.output_of({"logs", id.str()}); };
        REQUIRE(eventually([&] { return home.jamsock({"logs", id.str()}).out == "up\n"; }));
        for (int twice = 0; twice < 2; ++twice)
            home.output_of({"terminate", "--no-wait", id.str()});
        REQUIRE(eventually([&] { return output().find("TERM") != std::string::npos; }));
        home.output_of({"terminate", "--no-wait", id.str()});
        home.output_of({"terminate", "--hard", id.str()});
        CHECK(output().find("TERM") == output().rfind("TERM"));
        const auto history = history_of(home, id);
        REQUIRE(history.size() > 3);
        CHECK(std::vector(history.end() - 3, history.end()) ==
              std::vector<std::string>{"terminating", "hard-terminating", "terminated"});
    }
}

TEST_CASE("terminate waits as long as the service's own grace, and ends what ignores TERM") {
    Home home;
    home.output_of(
        {"service", "create", "deaf", "--grace", "1", "--", test_backend(), "--ignore-term"});
    home.output_of({"connect", "deaf", "--key", "k"});
    const RunResult ended = home.jamsock({"terminate", "deaf", "--key", "k"});
    CHECK(ended.exit_code == 0);
    CHECK(ended.out.find("signal 9 (KILL)") != std::string::npos);
}

TEST_CASE(
    "daemon stop --with-backends ends all of them first, also those of a daemon that is gone") {
    Home home;
    for (const bool daemon_runs : {true, false}) {
        CAPTURE(daemon_runs);
        const BackendId first = connected(home, "a");
        const BackendId second = connected(home, "b", {test_backend()});
        const pid_t pids[] = {*home.backend(first).pid, *home.backend(second).pid};
        if (!daemon_runs) home.output_of({"daemon", "stop"});
        const RunResult stopped = home.jamsock({"daemon", "stop", "--with-backends"});
        CHECK(stopped.exit_code == 0);
        CHECK(stopped.out.find(first.str() + " terminated: ") != std::string::npos);
        CHECK(stopped.out.find(second.str() + " terminated: ") != std::string::npos);
        CHECK(stopped.out.ends_with("The daemon stopped; no backend is left.\n"));
        for (const pid_t pid : pids)
            CHECK_FALSE(is_running(pid));
        CHECK(keepers_of(home.path()).empty());
    }
    CHECK(home.output_of({"daemon", "stop", "--with-backends"}) == "The daemon isn't running.");
}

TEST_CASE("a stopped shim keeps its key and its URL, is told, and is woken by a hard end") {
    Home home;
    const std::string key = home.own_key("k");
    const std::string url = home.output_of({"connect", "--key", key, "--", test_backend()});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t shim = shim_of(home, id);
    ::kill(shim, SIGSTOP);
    REQUIRE(eventually([&] { return home.backend(id).note.has_value(); }));
    CHECK(home.output_of({"status", id.str()}).find(fmt::format("process {}", shim)) !=
          std::string::npos);
    CHECK(fetch(url).status == 200);
    CHECK(home.jamsock({"connect", "--key", key}).exit_code == 0);
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).size() == 1);
    home.output_of({"terminate", "--hard", id.str()});
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).empty());
    CHECK(home.backend(id).statuses.back().exit == ProcessExit{std::nullopt, 9});
}

TEST_CASE("a shim that can't be woken is killed at a hard end, and its backend goes with it") {
    Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key, "--", test_backend(), "--fork-daemon"});
    const BackendId id = home.keys().at(0).backend_id;
    {
        const Hold debugger(shim_of(home, id));
        home.output_of({"terminate", "--hard", "--no-wait", id.str()});
        REQUIRE(eventually([&] { return debugger.is_over(); }, std::chrono::seconds(20)));
    }
    CHECK(eventually([&] { return has_ended(home, id); }));
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).empty());
    const StatusChange end = home.backend(id).statuses.back();
    CHECK(end.reason == TerminationReason::external);
    CHECK(end.kind == TerminationKind::hard);
}

TEST_CASE("a lock's descriptor that was given out of the tree is named by its process") {
    Home home;
    const std::string key = home.own_key("k");
    const BackendId id = connected(home, key, {test_backend()});
    const pid_t main = home.backend(id).pid.value();
    int lock = -1;
    for (const auto& [number, target] : descriptors_of(main)) {
        if (target.find("/locks/") != std::string::npos) lock = number;
    }
    REQUIRE(lock >= 0);
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, main, 0)));
    UniqueFd given(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), lock, 0)));
    REQUIRE(given);
    home.output_of({"terminate", id.str()});

    const RunResult refused = home.jamsock({"connect", "--key", key});
    CHECK(refused.exit_code == 5);
    CHECK(refused.err.find("The backend '" + id.str() + "' has ended") != std::string::npos);
    CHECK(refused.err.find(fmt::format("process {} (e2e_tests)", ::getpid())) != std::string::npos);
    given.reset();
    home.output_of({"connect", "--key", key});
}

TEST_CASE("kill -9 of a shim ends its backend within a second") {
    Home home;
    const std::string key = home.own_key("k");
    const BackendId id = connected(home, key, {test_backend(), "--ignore-term"});
    const pid_t main = home.backend(id).pid.value();
    ::kill(parent_of(main), SIGKILL);
    CHECK(eventually([&] { return !is_running(main); }, std::chrono::seconds(1)));
    REQUIRE(eventually([&] { return has_ended(home, id); }));
    CHECK(home.backend(id).statuses.back().reason == TerminationReason::lost);
}

TEST_CASE("a lock file removed under a running backend ends it, and its key starts anew") {
    Home home;
    const std::string key = home.own_key("k");
    const BackendId id = connected(home, key);
    const pid_t main = home.backend(id).pid.value();
    std::error_code failed;
    for (const auto& file : std::filesystem::directory_iterator(home.path() + "/locks"))
        std::filesystem::remove(file, failed);
    REQUIRE(eventually([&] { return has_ended(home, id); }));
    CHECK_FALSE(is_running(main));
    const StatusChange end = home.backend(id).statuses.back();
    CHECK(end.reason == TerminationReason::internalerror);
    CHECK(end.kind == TerminationKind::hard);
    CHECK(connected(home, key) != id);
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).size() == 1);
}
