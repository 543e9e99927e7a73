// Another user of the machine waits for a backend's end, to listen on its port before the daemon
// hears of it: while clients ask all the time, he gets not one byte.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

#include "daemon/loopback_address.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;
using namespace std::chrono_literals;

namespace {

constexpr uid_t nobody = 65534;
constexpr int rounds = 8;
constexpr auto listens_for = 700ms;

struct Loot {
    int connections = 0;
    long bytes = 0;
};

// Listens as soon as the port is free, and counts what it is sent.
Loot rob(std::uint16_t port) {
    const LoopbackAddress place(AF_INET, port);
    UniqueFd listener;
    const auto give_up = std::chrono::steady_clock::now() + 5s;
    while (!listener && std::chrono::steady_clock::now() < give_up) {
        UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        const int on = 1;
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(socket.get(), place.get(), place.size()) == 0 &&
            ::listen(socket.get(), SOMAXCONN) == 0) {
            listener = std::move(socket);
        }
    }
    Loot loot;
    const auto end = std::chrono::steady_clock::now() + listens_for;
    while (listener && std::chrono::steady_clock::now() < end) {
        pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 10) != 1) continue;
        const UniqueFd client(::accept(listener.get(), nullptr, nullptr));
        if (!client) continue;
        ++loot.connections;
        std::array<char, 4096> bytes;
        pollfd reading{.fd = client.get(), .events = POLLIN, .revents = 0};
        if (::poll(&reading, 1, 100) != 1) continue;
        const ssize_t size = ::recv(client.get(), bytes.data(), bytes.size(), 0);
        if (size > 0) loot.bytes += size;
    }
    return loot;
}

// Another user's process that does so.
class Robber {
  public:
    explicit Robber(std::uint16_t port) {
        std::array<int, 2> ends;
        REQUIRE(::pipe(ends.data()) == 0);
        result_.reset(ends[0]);
        const UniqueFd writing(ends[1]);
        pid_ = ::fork();
        if (pid_ != 0) return;
        if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(1);
        const Loot loot = rob(port);
        [[maybe_unused]] const auto told = ::write(writing.get(), &loot, sizeof loot);
        ::_exit(0);
    }
    Loot loot() {
        Loot loot;
        CHECK(::read(result_.get(), &loot, sizeof loot) == sizeof loot);
        ::waitpid(pid_, nullptr, 0);
        return loot;
    }

  private:
    UniqueFd result_;
    pid_t pid_ = 0;
};

// Clients who ask for a URL, each time on a connection of their own.
class Clients {
  public:
    Clients(std::uint16_t port, const std::string& url) {
        const auto path = url.find('/', std::string_view("http://").size());
        const std::string request =
            "GET " + url.substr(path) +
            " HTTP/1.1\r\nHost: localhost\r\nCookie: session=secret\r\n\r\n";
        for (std::thread& thread : threads_) {
            thread = std::thread([this, port, request] {
                while (!is_over_) {
                    RawSocket client = RawSocket::connect(port);
                    client.send(request);
                    if (client.read_until("\r\n").starts_with("HTTP/1.1 200")) ++served;
                }
            });
        }
    }
    ~Clients() {
        is_over_ = true;
        for (std::thread& thread : threads_)
            thread.join();
    }

    std::atomic<int> served = 0;

  private:
    std::atomic<bool> is_over_ = false;
    std::array<std::thread, 3> threads_;
};

}  // namespace

TEST_CASE("a stranger who takes over an ended backend's port gets no byte of its clients'") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can play another user");
        return;
    }
    const Home home;
    int takeovers = 0;
    for (int round = 0; round < rounds; ++round) {
        const std::string key = fmt::format("k{}", round);
        const std::string url = home.output_of({"connect", "--key", key, "--", test_backend()});
        const BackendInfo backend = home.backend(home.keys().front().backend_id);
        Robber robber(backend.port);
        Clients clients(home.version().value().proxy_port, url);
        REQUIRE(eventually([&] { return clients.served > 20; }));
        ::kill(backend.pid.value(), SIGKILL);
        const Loot loot = robber.loot();
        CHECK(loot.bytes == 0);
        if (loot.connections > 0) ++takeovers;
        REQUIRE(eventually([&] { return home.keys().empty(); }));
    }
    MESSAGE("the port was taken before the daemon knew in ", takeovers, " of ", rounds, " ends");
}

TEST_CASE("no socket's name tells the port on which a backend is about to listen") {
    const Home home;
    home.output_of({"connect", "--key", "k", "--no-wait", "--", test_backend(), "--never-listen"});
    const BackendId id = home.keys().front().backend_id;
    REQUIRE(eventually([&] { return home.backend(id).statuses.back().status == Status::waiting; }));
    const std::string port = std::to_string(home.backend(id).port);
    std::ifstream sockets("/proc/net/unix");
    for (std::string line; std::getline(sockets, line);) {
        const auto name = line.find('@');
        if (name == std::string::npos || line.find("jamsock", name) == std::string::npos) continue;
        CHECK(line.find(port, name) == std::string::npos);
    }
}
