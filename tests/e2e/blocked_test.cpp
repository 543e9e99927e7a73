// What stops the daemon doesn't: nobody waits for what is slow on another's behalf.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/hung_file_system.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

double seconds_of(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// No state of a matcher for "(a|b)*a(a|b){200}c{3}" comes twice in it.
std::string lines_of_two_letters(int count) {
    std::string lines;
    unsigned state = 1;
    for (int line = 0; line < count; ++line) {
        for (int at = 0; at < 4000; ++at) {
            state = state * 1664525 + 1013904223;
            lines += (state >> 24) % 2 == 0 ? 'a' : 'b';
        }
        lines += '\n';
    }
    return lines;
}

}  // namespace

TEST_CASE("a costly pattern for one backend's output delays no other key") {
    const Home home;
    const TemporaryDirectory files;
    std::ofstream(files.path("lines")) << lines_of_two_letters(500);
    home.output_of({"service", "create", "plain", "--", test_backend()});
    home.output_of({"service", "create", "costly", "--ready-log", "(a|b)*a(a|b){200}c{3}", "--",
                    "/bin/sh", "-c", "cat " + files.path("lines") + "; exec sleep 60"});
    home.output_of({"connect", "costly", "--key", "a", "--no-wait"});
    home.output_of({"connect", "costly", "--key", "b", "--no-wait"});
    for (const char* key : {"1", "2", "3"}) {
        const double seconds = seconds_of([&] {
            home.output_of({"connect", "plain", "--key", key});
        });
        CHECK(seconds < 5);
    }
}

TEST_CASE("a program on a file system that hangs is refused in time, and nobody waits for it") {
    const TemporaryDirectory mount;
    const HungFileSystem hung(mount.path());
    if (!hung.is_mounted()) {
        MESSAGE("skipped: needs the right to mount a file system");
        return;
    }
    const Home home;
    home.output_of({"connect", "--key", "doc"});
    const auto create = [&](const std::string& name) {
        const std::string body = fmt::format(R"({{"name":"{}","command":["{}"],"cwd":"/"}})", name,
                                             mount.path("program"));
        return home.post("/v2/account/local/service", body);
    };
    std::vector<std::thread> creators;
    std::vector<Answer> refused(6);
    for (std::size_t i = 0; i < refused.size(); ++i)
        creators.emplace_back([&, i] { refused[i] = create(fmt::format("hung-{}", i)); });
    double longest = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (std::chrono::steady_clock::now() < until) {
        longest = std::max(longest, seconds_of([&] {
                               const auto client = home.client();
                               client->set_read_timeout(5);
                               CHECK(client->Get("/v2/account/local/keys"));
                           }));
    }
    CHECK(longest < 1);
    for (std::thread& creator : creators)
        creator.join();
    for (const Answer& answer : refused) {
        CHECK(answer.status == 504);
        CHECK(answer.body.find("the file system doesn't answer") != std::string::npos);
    }
}

TEST_CASE("a standard error that nobody reads stops nobody") {
    const Home home;
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), 0) == 0);
    const UniqueFd unread(ends[0]);
    UniqueFd error(ends[1]);
    const pid_t daemon = ::fork();
    if (daemon == 0) {
        ::dup2(error.get(), STDERR_FILENO);
        ::setenv("JAMSOCK_HOME", home.path().c_str(), 1);
        ::execl(JAMSOCK_BUILD_DIR "/bin/jamsockd", "jamsockd", "--proxy-port", "0", "--api-port",
                "0", nullptr);
        ::_exit(127);
    }
    error.reset();
    REQUIRE(eventually([&] { return home.worker() != 0; }));
    home.output_of({"connect", "--key", "doc"});
    double longest = 0;
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {  // each is a line of the log
        longest = std::max(longest, seconds_of([&] {
                               const auto client = home.client();
                               client->set_read_timeout(5);
                               if (client->Get("/v2/backend/none")) ++refused;
                           }));
        if (longest > 4) break;
    }
    CHECK(refused == 2000);
    CHECK(longest < 1);
    home.output_of({"connect", "--key", "other"});
    const int left = ::fcntl(unread.get(), F_GETPIPE_SZ);
    int filled = 0;
    ::ioctl(unread.get(), FIONREAD, &filled);
    CHECK(filled > left / 2);
    for (const KeyEntry& entry : home.keys())
        home.output_of({"terminate", entry.backend_id.str()});
    ::kill(daemon, SIGTERM);
    CHECK(eventually([&] { return ::waitpid(daemon, nullptr, WNOHANG) == daemon; }));
}
