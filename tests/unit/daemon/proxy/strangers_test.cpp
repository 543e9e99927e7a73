#include "daemon/proxy/strangers.h"

#include <doctest/doctest.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <string>

#include "tests/support/eventually.h"
#include "tests/support/proxy_scene.h"

using namespace jamsock;
using namespace jamsock::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t places = 8;

// All clients of the test are another user's.
ProxyLimits for_strangers() {
    return {.max_strangers = places, .own_user = ::geteuid() + 1};
}

using Clients = std::list<RawSocket>;

void connect(Clients& clients, const TestProxy& proxy, int count) {
    for (int i = 0; i < count; ++i)
        clients.push_back(proxy.connect());
}

std::size_t open_among(Clients& clients) {
    return static_cast<std::size_t>(
        std::ranges::count_if(clients, [](RawSocket& client) { return client.is_silent(0ms); }));
}

bool is_served(RawSocket& client, const TestProxy& proxy) {
    client.send(proxy.get());
    RawSocket server = proxy.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    return client.read_response().ends_with("ok");
}

std::string long_head(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nCookie: " + std::string(8000, 'c');
}

}  // namespace

TEST_CASE("of strangers who send nothing only so many stay as there are places, the newest") {
    const TestProxy proxy(1, true, for_strangers());
    Clients clients;
    connect(clients, proxy, 300);
    REQUIRE(eventually([&] { return open_among(clients) == places; }));
    CHECK(clients.front().is_at_end());
    CHECK(clients.back().is_silent(0ms));
    proxy.check_that_it_serves();
    CHECK(is_served(clients.back(), proxy));
}

TEST_CASE("so with strangers whose heads do not end, on several threads") {
    const TestProxy proxy(4, true, for_strangers());
    Clients clients;
    for (int i = 0; i < 300; ++i) {
        clients.push_back(proxy.connect());
        clients.back().send("GET /" + proxy.token + "/ HTTP/1.1\r\n");
    }
    REQUIRE(eventually([&] { return open_among(clients) <= places; }));
    proxy.check_that_it_serves();
}

TEST_CASE("whoever has shown a good token keeps its place, however many strangers come") {
    const TestProxy proxy(1, true, for_strangers());
    RawSocket known = proxy.connect();
    REQUIRE(is_served(known, proxy));
    Clients clients;
    connect(clients, proxy, 100);
    REQUIRE(eventually([&] { return open_among(clients) == places; }));
    CHECK(is_served(known, proxy));
}

TEST_CASE("strangers take no place from those that have shown a token") {
    ProxyLimits limits = for_strangers();
    limits.max_connections = 2;
    const TestProxy proxy(1, true, limits);
    Clients strangers;
    connect(strangers, proxy, 5);
    RawSocket first = proxy.connect();
    RawSocket second = proxy.connect();
    CHECK(is_served(first, proxy));
    CHECK(is_served(second, proxy));
    RawSocket third = proxy.connect();
    CHECK(third.read_response().starts_with("HTTP/1.1 429 "));
    CHECK(is_served(first, proxy));
    strangers.back().send(proxy.get());
    CHECK(strangers.back().read_response().starts_with("HTTP/1.1 429 "));
}

TEST_CASE("this user's own clients are no strangers") {
    const TestProxy proxy(1, true, {.max_strangers = places});
    Clients clients;
    connect(clients, proxy, 100);
    proxy.check_that_it_serves();
    CHECK(open_among(clients) == 100);
}

TEST_CASE("strangers in thousands put each other out, and none of this user's") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can play another user");
        return;
    }
    const TestProxy proxy(1, true, {.max_strangers = places});
    Clients own;
    Clients strangers;
    connect(own, proxy, 1);
    for (int i = 0; i < 40; ++i) {
        ::setfsuid(65534);
        connect(strangers, proxy, 100);
        while (strangers.size() > 200)
            strangers.pop_front();
        ::setfsuid(0);
        connect(own, proxy, 1);
    }
    proxy.check_that_it_serves();
    CHECK(open_among(strangers) <= places);
    CHECK(open_among(own) == own.size());
}

TEST_CASE("a client that sends nothing, or no whole head, is let go soon after it came") {
    const TestProxy proxy(1, true, {.slow_head = 200ms});
    RawSocket silent = proxy.connect();
    RawSocket slow = proxy.connect();
    slow.send("GET /");
    CHECK(silent.is_at_end());
    CHECK(slow.read_response().starts_with("HTTP/1.1 408 "));
    CHECK(slow.is_at_end());
    RawSocket denied = proxy.connect();
    denied.send("GET /" + std::string(43, 'A') + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(denied.read_response().starts_with("HTTP/1.1 410 "));
    CHECK(denied.is_at_end());
}

TEST_CASE("a long head without a good token is answered before its end") {
    const TestProxy proxy;
    for (const auto& [target, status] :
         {std::pair("/", "400"), std::pair("/x/y", "400"), std::pair("*", "400"),
          std::pair("/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/", "410")}) {
        CAPTURE(target);
        RawSocket client = proxy.connect();
        client.send(long_head(target));
        CHECK(client.read_response().starts_with(std::string("HTTP/1.1 ") + status));
    }
    RawSocket nonsense = proxy.connect();
    nonsense.send(std::string(10'000, 'x'));
    CHECK(nonsense.read_response().starts_with("HTTP/1.1 400 "));
}

TEST_CASE("a long head with a good token comes in pieces, and is served") {
    const TestProxy proxy;
    for (const std::string& host : {std::string(), std::string("http://localhost")}) {
        RawSocket client = proxy.connect();
        client.send(long_head(host + "/" + proxy.token + "/a"));
        CHECK(client.is_silent());
        client.send(std::string(8000, 'c'));
        CHECK(client.is_silent());
        client.send("\r\n\r\n");
        RawSocket server = proxy.backend.listener.accept();
        CHECK(server.read_until("\r\n\r\n").find(std::string(16'000, 'c')) != std::string::npos);
        server.send(ok);
        CHECK(client.read_response().ends_with("ok"));
    }
}
