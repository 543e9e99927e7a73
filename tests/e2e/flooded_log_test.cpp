// What clients make the daemon write down is bounded, however much they ask for.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "common/runtime_paths.h"
#include "daemon/shim/log_file.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

std::uintmax_t log_size(const Home& home) {
    return std::filesystem::file_size(home.path() + "/" + state_file::log);
}

// All on one connection.
void flood(RawSocket client, const std::string& target, int count) {
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int i = 0; i < count; ++i) {
        client.send(request);
        REQUIRE(client.read_response().starts_with("HTTP/1.1 4"));
    }
}

}  // namespace

TEST_CASE("refused requests by the thousand are a few lines of the log") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::uintmax_t before = log_size(home);
    const std::string long_id(8000, '~');
    const std::uint16_t port = home.version()->api_port;
    flood(RawSocket::connect(port), "/v2/account/local/keys", 3000);
    flood(RawSocket::connect(port), "/v2/backend/" + long_id + "/status", 500);
    CHECK(log_size(home) - before < 10'000);
    const std::string socket = home.path() + "/" + state_file::socket;
    flood(RawSocket::connect(socket), "/v2/backend/" + long_id + "/status", 500);
    CHECK(log_size(home) - before < 200'000);
    home.output_of({"daemon", "stop"});
    const std::string log = content_of(home.path() + "/" + state_file::log);
    CHECK(log.find("2999 more requests failed: InvalidAuth over TCP") != std::string::npos);
    CHECK(log.find("499 more requests failed: InvalidRequest over TCP") != std::string::npos);
    CHECK(log.find("440 more requests failed: InvalidRequest\n") != std::string::npos);
}

TEST_CASE("a log that grows is moved aside while its daemon runs, and everybody follows it") {
    const Home home;
    const std::string path = home.path() + "/" + state_file::log;
    const std::string older = home.path() + "/" + LogFile::older_name;
    const auto log = [&] { return content_of(path); };
    home.output_of({"daemon", "start"});
    const auto filler_size = LogFile::largest - static_cast<long long>(log_size(home)) - 300;
    const std::string filler =
        std::string(static_cast<std::size_t>(filler_size) - 6, 'x') + "\nlast\n";
    std::ofstream(path, std::ios::app) << filler;
    const TemporaryDirectory files;
    const std::string followed = files.path("followed");
    Child follower = Child::start({"/bin/sh", "-c", "exec \"$0\" daemon logs -n 1 -f > \"$1\"",
                                   JAMSOCK_BUILD_DIR "/bin/jamsock", followed},
                                  home.options());
    REQUIRE(eventually([&] { return content_of(followed) == "last\n"; }));
    for (int i = 0; i < 10; ++i)
        CHECK(home.get("/v2/backend/none" + std::to_string(i) + "/status").status >= 400);
    REQUIRE(eventually([&] { return std::filesystem::exists(older); }));
    CHECK(std::filesystem::file_size(older) <= LogFile::largest);
    CHECK(eventually([&] { return log().find("none9") != std::string::npos; }));
    ::kill(home.worker(), SIGKILL);
    CHECK(eventually([&] { return log().find("was killed by signal 9") != std::string::npos; }));
    CHECK(eventually([&] { return log().find("serving 0 backends") != std::string::npos; }));
    CHECK(eventually(
        [&] { return content_of(followed).find("serving 0 backends") != std::string::npos; }));
    ::kill(follower.pid(), SIGINT);
    follower.wait();
    const std::string seen = content_of(followed);
    std::size_t at = 0;
    for (int i = 0; i < 10 && at != std::string::npos; ++i)
        at = seen.find("none" + std::to_string(i), at);
    CHECK(at != std::string::npos);
}
