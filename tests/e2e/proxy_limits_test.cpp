// The proxy's limits, as config.toml sets them.
#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;
using namespace std::chrono_literals;

namespace {

void configure(const Home& home, const std::string& settings) {
    std::ofstream(home.path() + "/config.toml") << "[proxy]\n" << settings << '\n';
}

RawSocket connect(const Home& home) {
    return RawSocket::connect(home.version().value().proxy_port);
}

std::string request_of(const std::string& url) {
    const auto path = url.find('/', std::string_view("http://").size());
    return "GET " + url.substr(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

bool is_served(RawSocket& client, const std::string& url) {
    return client.send(request_of(url)) &&
           client.read_until("ok\n").starts_with("HTTP/1.1 200 OK\r\n");
}

constexpr const char* too_many = "HTTP/1.1 429 Too Many Requests\r\n";

}  // namespace

TEST_CASE("a connection above max_connections gets 429, and the next one after an end is served") {
    const Home home;
    configure(home, "max_connections = 2");
    const std::string url = home.output_of({"connect", "--key", "k", "--", test_backend()});
    RawSocket first = connect(home);
    RawSocket second = connect(home);
    REQUIRE(is_served(first, url));
    REQUIRE(is_served(second, url));
    RawSocket third = connect(home);
    CHECK(third.read_response().starts_with(too_many));
    CHECK(third.is_at_end());
    third.close();
    CHECK(is_served(second, url));
    first.close();
    CHECK(eventually([&] { return fetch(url).status == 200; }));
    CHECK(is_served(second, url));
}

TEST_CASE("a request above max_held_requests gets 429, and the one before it waits on") {
    const Home home;
    configure(home, "max_held_requests = 1");
    const std::string url = home.output_of(
        {"connect", "--key", "k", "--no-wait", "--", test_backend(), "--never-listen"});
    RawSocket first = connect(home);
    RawSocket second = connect(home);
    REQUIRE(first.send(request_of(url)));
    REQUIRE(second.send(request_of(url)));
    REQUIRE(eventually([&] { return !first.is_silent(5ms) || !second.is_silent(5ms); }));
    RawSocket& refused = first.is_silent(0ms) ? second : first;
    RawSocket& held = first.is_silent(0ms) ? first : second;
    CHECK(refused.read_response().starts_with(too_many));
    CHECK(held.is_silent());
    home.output_of({"terminate", "--key", "k"});
    CHECK(held.read_response().starts_with("HTTP/1.1 410 Gone\r\n"));
}
