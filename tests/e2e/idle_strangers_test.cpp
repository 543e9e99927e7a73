// Another user of the machine holds far more connections to the proxy than the daemon has
// descriptors, silent ones and such whose requests never end: URLs, starts and memory are as ever.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <vector>

#include "daemon/loopback_address.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;
using namespace std::chrono_literals;

namespace {

constexpr uid_t nobody = 65534;
constexpr int connections = 2000;
constexpr std::size_t largest_growth = 24;  // MiB

// Opens them, says so, and holds them until it is killed.
[[noreturn]] void besiege(std::uint16_t port, int ready) {
    const rlimit limit{2 * connections, 2 * connections};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(1);
    const LoopbackAddress proxy(AF_INET, port);
    const std::string head = "GET / HTTP/1.1\r\nX: " + std::string(60'000, 'x');
    for (int i = 0; i < connections; ++i) {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ::connect(socket, proxy.get(), proxy.size());
        pollfd connecting{.fd = socket, .events = POLLOUT, .revents = 0};
        ::poll(&connecting, 1, 100);
        if (i % 2 == 0) ::send(socket, head.data(), head.size(), MSG_NOSIGNAL);
    }
    [[maybe_unused]] const auto told = ::write(ready, "x", 1);
    ::alarm(60);
    for (;;)
        ::pause();
}

class Siege {
  public:
    explicit Siege(std::uint16_t port) {
        std::array<int, 2> ends;
        REQUIRE(::pipe(ends.data()) == 0);
        const UniqueFd reading(ends[0]);
        pid_ = ::fork();
        if (pid_ == 0) besiege(port, ends[1]);
        ::close(ends[1]);
        char byte = 0;
        REQUIRE(::read(reading.get(), &byte, 1) == 1);
    }
    ~Siege() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

  private:
    pid_t pid_ = 0;
};

void start_daemon_with_descriptors(const Home& home, int count) {
    const std::string script = "ulimit -n " + std::to_string(count) + "; exec \"$0\" daemon start";
    const RunResult started =
        run({"/bin/sh", "-c", script, JAMSOCK_BUILD_DIR "/bin/jamsock"}, home.options());
    INFO(started.err);
    REQUIRE(started.exit_code == 0);
}

std::chrono::milliseconds time_of_fetch(const std::string& url) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(fetch(url).status == 200);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begin);
}

}  // namespace

TEST_CASE("another user's idle connections keep nobody out, and no backend from starting") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can play another user");
        return;
    }
    const Home home;
    start_daemon_with_descriptors(home, 1024);
    const std::string url = home.output_of({"connect", "--key", "k", "--", test_backend()});
    const std::uint16_t port = home.version().value().proxy_port;
    const std::size_t before = resident_memory(home.worker());
    const Siege siege(port);
    std::chrono::milliseconds slowest{0};
    for (int i = 0; i < 20; ++i)
        slowest = std::max(slowest, time_of_fetch(url));
    CHECK(slowest < 1s);
    const std::string other = home.output_of({"connect", "--key", "other", "--", test_backend()});
    CHECK(time_of_fetch(other) < 1s);
    const std::size_t growth = (std::max(resident_memory(home.worker()), before) - before) >> 20;
    CHECK(growth < largest_growth);
    MESSAGE("slowest answer ", slowest.count(), " ms, memory grew by ", growth, " MiB");
}
