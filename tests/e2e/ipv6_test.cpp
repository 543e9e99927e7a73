// The loopback of IPv6: clients come by it, and backends listen there.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

bool skips() {
    const bool is_there = has_ipv6_loopback();
    if (!is_there) MESSAGE("skipped: this machine has no IPv6 loopback");
    return !is_there;
}

std::uint16_t proxy_port(const Home& home) {
    return home.version().value().proxy_port;
}

// A connection URL's port, and what follows it.
struct Place {
    std::uint16_t port = 0;
    std::string target;
};

Place place_of(const std::string& url) {
    const std::string authority = "http://127.0.0.1:";
    REQUIRE(url.starts_with(authority));
    const std::size_t slash = url.find('/', authority.size());
    const std::string port = url.substr(authority.size(), slash - authority.size());
    return {static_cast<std::uint16_t>(std::stoi(port)), url.substr(slash)};
}

std::string get_request(const Place& place, const std::string& rest) {
    return fmt::format("GET {}{} HTTP/1.1\r\nHost: [::1]:{}\r\n\r\n", place.target, rest,
                       place.port);
}

// GET of a connection URL, from [::1] to [::1]; nothing if none answers there.
std::string fetch_by_ipv6(const std::string& url, const std::string& rest) {
    const Place place = place_of(url);
    try {
        auto client = RawSocket::connect(place.port, AF_INET6);
        client.send(get_request(place, rest));
        return client.read_response();
    } catch (const std::runtime_error&) {
        return {};
    }
}

bool answers_by_ipv6(const std::string& url) {
    return fetch_by_ipv6(url, "").starts_with("HTTP/1.1 200 ");
}

// A connection URL of the test backend; it starts on.
std::string connect(const Home& home, std::vector<std::string> options = {}) {
    std::vector<std::string> words{"connect", "--key", home.own_key("k"), "--", test_backend()};
    words.insert(words.end(), options.begin(), options.end());
    return home.output_of(words);
}

std::string log_of(const Home& home) {
    std::ifstream file(home.path() + "/jamsockd.log");
    return {std::istreambuf_iterator<char>(file), {}};
}

// The new keeper has the old one's pid, so its workers tell.
void take_over(const Home& home) {
    const pid_t before = home.worker();
    ::kill(home.keeper(), SIGHUP);
    REQUIRE(eventually([&] {
        const pid_t now = home.worker();
        return now != 0 && now != before;
    }));
}

void kill_worker(const Home& home) {
    const pid_t before = home.worker();
    ::kill(before, SIGKILL);
    REQUIRE(eventually([&] {
        const pid_t now = home.worker();
        return now != 0 && now != before;
    }));
}

// Stopped until its end, whatever happens in between.
class Stopped {
  public:
    explicit Stopped(pid_t pid) : pid_(pid) { ::kill(pid_, SIGSTOP); }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { ::kill(pid_, SIGCONT); }

  private:
    pid_t pid_;
};

void kill_all(const Home& home) {
    const pid_t worker = home.worker();
    ::kill(home.keeper(), SIGKILL);
    // One of whose threads still end has its sockets, and is no worker any more.
    REQUIRE(eventually([&] { return workers_of(home.path()).empty() && !is_running(worker); }));
}

// The thread that calls this, and what it starts from then on, gets no IPv6 socket: as on a machine
// whose kernel has none.
bool forbid_ipv6() {
    const auto offset = [](std::size_t at) { return static_cast<__u32>(at); };
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset(offsetof(seccomp_data, nr))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset(offsetof(seccomp_data, args))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{.len = std::size(program), .filter = program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

std::vector<RawSocket> connect_by_both(std::uint16_t port, int count_of_each) {
    std::vector<RawSocket> sockets;
    for (int i = 0; i < count_of_each; ++i) {
        sockets.push_back(RawSocket::connect(port, AF_INET6));
        sockets.push_back(RawSocket::connect(port));
    }
    return sockets;
}

}  // namespace

TEST_CASE(
    "the proxy is reached on [::1], too, by the same port, whoever of the daemon was killed") {
    if (skips()) return;
    const Home home;
    const std::string url = connect(home);
    CHECK(fetch_by_ipv6(url, "head").find("\r\nx-forwarded-for: ::1\r\n") != std::string::npos);
    kill_worker(home);
    CHECK(eventually([&] { return answers_by_ipv6(url); }));
    take_over(home);
    CHECK(eventually([&] { return answers_by_ipv6(url); }));
    kill_all(home);
    home.output_of({"daemon", "start"});
    CHECK(answers_by_ipv6(url));
    CHECK(fetch(url).status == 200);
}

TEST_CASE("where the port is taken on [::1] the proxy goes without, and has it after a restart") {
    if (skips()) return;
    const Home home;
    std::optional<RawListener> stranger(AF_INET6);
    std::ofstream(home.path() + "/proxy-port") << stranger->port() << '\n';
    const std::string url = connect(home);
    REQUIRE(proxy_port(home) == stranger->port());
    CHECK(fetch(url).status == 200);
    CHECK_FALSE(stranger->has_client(std::chrono::milliseconds(0)));
    CHECK(log_of(home).find(fmt::format("on [::1], port {} can't be had: Address already in use",
                                        stranger->port())) != std::string::npos);
    kill_worker(home);
    CHECK(eventually([&] { return fetch(url).status == 200; }));
    stranger.reset();
    CHECK_FALSE(answers_by_ipv6(url));
    take_over(home);
    CHECK(eventually([&] { return answers_by_ipv6(url); }));
    CHECK(fetch(url).status == 200);
}

TEST_CASE("a port that a stranger has on [::1] alone is none for the API") {
    if (skips()) return;
    const Home home;
    const RawListener stranger(AF_INET6);
    RunOptions options = home.options();
    options.environment["JAMSOCK_API_PORT"] = std::to_string(stranger.port());
    REQUIRE(home.jamsock({"daemon", "start"}, options).exit_code == 0);
    const std::uint16_t port = home.version()->api_port;
    CHECK(port != stranger.port());
    CHECK(log_of(home).find(fmt::format("port {} is taken; the API listens on {}", stranger.port(),
                                        port)) != std::string::npos);
    for (const int family : {AF_INET, AF_INET6}) {
        RawSocket client = RawSocket::connect(port, family);
        client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CHECK(client.read_response().starts_with("HTTP/1.1 200 "));
    }
    CHECK_FALSE(stranger.has_client(std::chrono::milliseconds(0)));
}

TEST_CASE("who comes by IPv4 or IPv6 while no worker runs is served by the next one") {
    if (skips()) return;
    const Home home;
    const std::string url = connect(home);
    const Place place = place_of(url);
    const pid_t worker = home.worker();
    std::optional<Stopped> keeper(home.keeper());  // or it would start the next worker at once
    ::kill(worker, SIGKILL);
    REQUIRE(eventually([&] { return !is_running(worker); }));
    auto clients = connect_by_both(place.port, 5);
    for (RawSocket& client : clients)
        client.send(get_request(place, ""));
    keeper.reset();
    for (RawSocket& client : clients)
        CHECK(client.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(home.worker() != worker);
}

TEST_CASE("under 256 descriptors clients of both addresses wait, and are served afterwards") {
    if (skips()) return;
    const Home home;
    const std::string script = "ulimit -n 256; exec \"$0\" daemon start";
    REQUIRE(run({"/bin/sh", "-c", script, JAMSOCK_BUILD_DIR "/bin/jamsock"}, home.options())
                .exit_code == 0);
    const std::string url = connect(home);
    const Place place = place_of(url);
    const pid_t worker = home.worker();
    auto clients = connect_by_both(place.port, 150);
    REQUIRE(eventually([&] { return descriptors_of(worker).size() >= 192; }));
    CHECK(home.jamsock({"list"}).exit_code == 0);

    std::vector<RawSocket> waiting;
    for (const int family : {AF_INET, AF_INET6}) {
        waiting.push_back(RawSocket::connect(place.port, family));
        waiting.back().send(get_request(place, ""));
    }
    CHECK(std::ranges::all_of(waiting, [](auto& client) { return client.is_silent(); }));
    CHECK(descriptors_of(worker).size() < 256);
    clients.clear();
    for (RawSocket& client : waiting)
        CHECK(client.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("without IPv6 the daemon goes on IPv4 alone") {
    const Home home;
    bool is_forbidden = false;
    RunResult started;
    std::thread([&] {
        is_forbidden = forbid_ipv6();
        started = home.jamsock({"daemon", "start"});
    }).join();
    if (!is_forbidden) {
        MESSAGE("skipped: system calls can't be filtered here");
        return;
    }
    INFO(started.err);
    REQUIRE(started.exit_code == 0);
    const std::string url = connect(home);
    CHECK(fetch(url).status == 200);
    CHECK_FALSE(answers_by_ipv6(url));
    CHECK(log_of(home).find(fmt::format(
              "on [::1], port {} can't be had: Address family not supported", proxy_port(home))) !=
          std::string::npos);
    kill_worker(home);
    CHECK(eventually([&] { return fetch(url).status == 200; }));
}

TEST_CASE("a backend that listens on [::1] alone is ready and reached, also after recovery") {
    if (skips()) return;
    const Home home;
    const std::string url = connect(home, {"--listen-at", "::1"});
    const BackendInfo backend = home.backend(home.keys().at(0).backend_id);
    CHECK(fetch(url + "pid").body == fmt::format("{}\n", backend.pid.value()));
    CHECK(answers_by_ipv6(url));
    kill_worker(home);
    CHECK(eventually([&] { return fetch(url).status == 200; }));
    kill_all(home);
    for (const char* name : {"/jamsock.db", "/jamsock.db-wal", "/jamsock.db-shm"})
        std::filesystem::remove(home.path() + name);
    home.output_of({"daemon", "start"});
    CHECK(fetch(url + "pid").body == fmt::format("{}\n", backend.pid.value()));
}

TEST_CASE("a backend on [::1] alone is ready by each sign") {
    if (skips()) return;
    const Home home;
    const auto url_of = [&](const std::string& name, std::vector<std::string> options) {
        std::vector<std::string> words{"service", "create", name};
        words.insert(words.end(), options.begin(), options.end());
        home.output_of(words);
        return home.output_of({"connect", name, "--key", home.own_key("k")});
    };
    const auto with = [&](std::vector<std::string> options) {
        const std::vector<std::string> command{
            "--", "/bin/sh", "-c", "echo up; exec \"$0\" --listen-at ::1", test_backend()};
        options.insert(options.end(), command.begin(), command.end());
        return options;
    };
    const std::string curl = "curl -gfs \"http://[::1]:$PORT/\"";
    CHECK(fetch(url_of("path", with({"--ready-path", "/ready"}))).status == 200);
    CHECK(fetch(url_of("any", with({"--port-owner", "any"}))).status == 200);
    CHECK(fetch(url_of("exec", with({"--ready-exec", curl}))).status == 200);
    CHECK(fetch(url_of("log", with({"--ready-log", "^up$"}))).status == 200);
}

TEST_CASE("a stranger that answers on [::1] makes no backend ready") {
    if (skips()) return;
    const Home home;
    home.output_of(
        {"service", "create", "robbed", "--startup", "4", "--", test_backend(), "--never-listen"});
    Child robbed = home.start_jamsock({"connect", "robbed", "--key", home.own_key("k")});
    REQUIRE(eventually([&] { return home.keys().size() == 1; }));
    const std::uint16_t port = home.backend(home.keys().at(0).backend_id).port;
    home.output_of({"connect", "--key", home.own_key("stranger"), "--no-wait", "--", test_backend(),
                    "--listen-on", std::to_string(port), "--listen-at", "::1"});
    const RunResult ended = robbed.wait();
    CHECK(ended.exit_code == 5);
    INFO(ended.err);
    CHECK(ended.err.find(fmt::format("its port {} belongs to another process", port)) !=
          std::string::npos);
}
