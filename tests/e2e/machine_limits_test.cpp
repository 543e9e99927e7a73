// The machine's own limits: who is too many is told so; who runs goes on; and it recovers.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "common/runtime_paths.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temporary_directory.h"

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

std::string get_request(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

std::vector<RawSocket> connect_to_proxy(const std::string& url, int count) {
    const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    std::vector<RawSocket> sockets;
    for (int i = 0; i < count; ++i)
        sockets.push_back(RawSocket::connect(port));
    return sockets;
}

// Answers that last for longer than the test.
void begin_answers(std::vector<RawSocket>& sockets, const std::string& url) {
    const auto slash = url.find('/', std::string_view("http://").size());
    for (RawSocket& socket : sockets)
        socket.send(get_request(url.substr(slash) + "stream?n=1000&ms=100"));
}

bool is_refused(RawSocket& client) {
    return !client.is_silent(std::chrono::milliseconds(0)) &&
           client.read_until("\r\n").starts_with("HTTP/1.1 429 ");
}

// The command line as a user of whom nothing else runs: the kernel counts a user's processes.
class LonelyUser {
  public:
    LonelyUser() : id_(std::to_string(60'000 + ::getpid() % 5'000)) {
        REQUIRE(::chown(home_.path().c_str(), static_cast<uid_t>(std::stoul(id_)), 0) == 0);
    }
    LonelyUser(const LonelyUser&) = delete;
    LonelyUser& operator=(const LonelyUser&) = delete;
    ~LonelyUser() { jamsock({"daemon", "stop", "--with-backends"}); }

    RunResult jamsock(const std::vector<std::string>& words) const { return run_under({}, words); }
    // The daemon and its backends have no more processes than that.
    RunResult start_daemon(int most_processes) const {
        return run_under({"prlimit", "--nproc=" + std::to_string(most_processes)},
                         {"daemon", "start"});
    }

  private:
    RunResult run_under(const std::vector<std::string>& limit,
                        const std::vector<std::string>& words) const {
        std::vector<std::string> argv{"/usr/bin/env"};
        argv.insert(argv.end(), limit.begin(), limit.end());
        argv.insert(argv.end(), {"setpriv", "--reuid=" + id_, "--regid=" + id_, "--clear-groups",
                                 JAMSOCK_BUILD_DIR "/bin/jamsock"});
        argv.insert(argv.end(), words.begin(), words.end());
        RunOptions options;
        options.environment = {{"JAMSOCK_HOME", home_.path()},
                               {"JAMSOCK_PROXY_PORT", "0"},
                               {"JAMSOCK_API_PORT", "0"},
                               {"PATH", "/usr/local/bin:/usr/bin:/bin"}};
        return run(argv, options);
    }

    std::string id_;
    TemporaryDirectory home_;
};

}  // namespace

TEST_CASE("where no process can be made new keys are refused, and those that run go on") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can be a user of whom nothing else runs");
        return;
    }
    const LonelyUser user;
    REQUIRE(user.start_daemon(40).exit_code == 0);
    REQUIRE(user.jamsock({"service", "create", "sleeper", "--startup", "3600", "--grace", "1", "--",
                          "/bin/sleep", "1000"})
                .exit_code == 0);
    const RunResult running = user.jamsock(
        {"connect", "--key", "running", "--", "node", "-e",
         "require('http').createServer((q, a) => a.end('ok')).listen(process.env.PORT, "
         "process.env.HOST)"});
    INFO(running.err);
    REQUIRE(running.exit_code == 0);
    const std::string url = running.out.substr(0, running.out.find('\n'));
    for (int i = 0; i < 30; ++i) {
        const std::string key = "sleeper-" + std::to_string(i);
        user.jamsock({"connect", "sleeper", "--key", key, "--no-wait"});
    }

    const RunResult refused = user.jamsock({"connect", "--key", "one-too-many"});
    CHECK(refused.exit_code == 1);
    CHECK(refused.err.find("Resource temporarily unavailable") != std::string::npos);
    CHECK(refused.err.ends_with("Try: jamsock list\n"));
    CHECK(fetch(url).body == "ok");

    std::vector<std::string> words{"terminate", "sleeper"};
    for (int i = 0; i < 30; ++i)
        words.insert(words.end(), {"--key", "sleeper-" + std::to_string(i)});
    user.jamsock(words);
    CHECK(user.jamsock({"connect", "--key", "afterwards", "--", test_backend()}).exit_code == 0);
    CHECK(fetch(url).body == "ok");
}

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

TEST_CASE("under 256 descriptors status streams leave the API to others") {
    const Home home;
    start_daemon_with_descriptors(home, 256);
    const BackendId id = home.connect(request_for(home.own_key("watched"))).value().backend_id;
    const std::string target = "/v2/backend/" + id.str() + "/status/stream";
    std::vector<RawSocket> streams;
    for (int i = 0; i < 250; ++i) {
        streams.push_back(RawSocket::connect(home.path() + "/" + state_file::socket));
        streams.back().send(get_request(target));
    }

    REQUIRE(home.jamsock({"list"}).exit_code == 0);
    int served = 0;
    for (RawSocket& stream : streams) {
        const std::string head = stream.read_until("\r\n\r\n");
        const bool is_served = head.starts_with("HTTP/1.1 200 ");
        if (is_served) ++served;
        INFO(head);
        REQUIRE((is_served || head.starts_with("HTTP/1.1 429 ")));
        if (is_served) continue;
        const Error refused = error_from_json(stream.read_until("}}"), 429);
        REQUIRE(refused.code == ErrorCode::usage_limit);
        REQUIRE_FALSE(refused.hint.empty());
    }
    CHECK(served == 16);
    CHECK(home.jamsock({"list"}).exit_code == 0);

    streams.clear();
    home.post("/v2/backend/" + id.str() + "/terminate", R"({"hard":true})");
    CHECK(eventually([&] { return home.get(target).status == 200; }));
}

TEST_CASE("under 256 descriptors strangers on TCP have a part of the API's share, and no more") {
    const Home home;
    start_daemon_with_descriptors(home, 256);
    const std::string key = home.own_key("kept");
    REQUIRE(home.connect(request_for(key)));
    const VersionInfo version = home.version().value();
    const auto descriptors = [&] { return descriptors_of(version.pid).size(); };
    const std::size_t before = descriptors();
    std::vector<RawSocket> strangers;
    for (int i = 0; i < 100; ++i) {
        strangers.push_back(RawSocket::connect(version.api_port));
        if (has_ipv6_loopback()) {
            strangers.push_back(RawSocket::connect(version.api_port, AF_INET6));
        }
    }
    CHECK(eventually([&] { return descriptors() >= before + 22; }));
    CHECK(home.jamsock({"list"}).exit_code == 0);
    CHECK(home.jamsock({"terminate", "--key", key}).exit_code == 0);
    CHECK(descriptors() <= before + 24);
}

TEST_CASE("clients who vanish while they wait for a backend give their places back") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request = request_for(home.own_key("slow"));
    request.command->argv.emplace_back("--never-listen");
    const ConnectResponse slow = home.connect(request, /*wait=*/false).value();
    const auto status = [&] { return home.backend(slow.backend_id).statuses.back().status; };
    REQUIRE(eventually([&] { return status() == Status::waiting; }));
    const VersionInfo version = home.version().value();
    const auto descriptors = [&] { return descriptors_of(version.pid).size(); };
    const std::size_t before = descriptors();

    const std::string body = request.to_json();
    const std::string connect =
        "POST /v2/service/local/default/connect?wait=ready HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    const std::string ready = "GET /ready/" + slow.backend_id.str() + "/" + slow.token +
                              "/ HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    std::vector<RawSocket> waiting;
    for (int i = 0; i < 10; ++i) {
        waiting.push_back(RawSocket::connect(home.path() + "/" + state_file::socket));
        waiting.back().send(connect);
        waiting.push_back(RawSocket::connect(version.api_port));
        waiting.back().send(ready);
    }
    REQUIRE(eventually([&] { return descriptors() >= before + 19; }));
    CHECK(std::ranges::all_of(
        waiting, [](auto& client) { return client.is_silent(std::chrono::milliseconds(0)); }));
    waiting.clear();
    CHECK(eventually([&] { return descriptors() <= before + 1; }));
    CHECK(status() == Status::waiting);
}

TEST_CASE("under 256 descriptors clients of backends leave the API its share") {
    const Home home;
    start_daemon_with_descriptors(home, 256);
    const pid_t worker = home.worker();
    const std::string key = home.own_key("busy");
    const std::string url = home.connect(request_for(key)).value().url;
    auto sockets = connect_to_proxy(url, 150);
    begin_answers(sockets, url);
    REQUIRE(eventually([&] { return descriptors_of(worker).size() >= 192; }));

    CHECK(home.jamsock({"list"}).exit_code == 0);
    CHECK(home.jamsock({"terminate", "--key", key}).exit_code == 0);
}

TEST_CASE("under 256 descriptors clients who all ask at once leave the API its share, too") {
    const Home home;
    start_daemon_with_descriptors(home, 256);
    const pid_t worker = home.worker();
    const std::string key = home.own_key("busy");
    const std::string url = home.connect(request_for(key)).value().url;
    auto sockets = connect_to_proxy(url, 250);
    REQUIRE(eventually([&] { return descriptors_of(worker).size() >= 192; }));
    begin_answers(sockets, url);
    REQUIRE(eventually([&] { return std::ranges::any_of(sockets, is_refused); }));

    CHECK(home.jamsock({"list"}).exit_code == 0);
    CHECK(home.jamsock({"terminate", "--key", key}).exit_code == 0);
}

TEST_CASE("adopted backends that hold nearly all descriptors are reached, and ended") {
    const Home home;
    REQUIRE(home.jamsock({"daemon", "start"}).exit_code == 0);
    const auto request = [&](int i) {
        return request_for(home.own_key("adopted-" + std::to_string(i)));
    };
    for (int i = 0; i < 25; ++i)
        REQUIRE(home.connect(request(i)));
    const auto used = static_cast<int>(descriptors_of(home.worker()).size());
    REQUIRE(home.jamsock({"daemon", "stop"}).exit_code == 0);
    start_daemon_with_descriptors(home, used + 10);

    CHECK(home.keys().size() == 25);
    CHECK(fetch(home.connect(request(0)).value().url).status == 200);
    CHECK(home.jamsock({"daemon", "stop", "--with-backends"}).exit_code == 0);
}
