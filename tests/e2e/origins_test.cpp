// Whose pages may open a WebSocket: `allow_origins` of a service, as the proxy applies it.
#include <doctest/doctest.h>

#include "tests/support/eventually.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// The status line that an upgrade is answered with, for a page of that origin; "": of none.
std::string upgraded(const std::string& url, const std::string& origin) {
    const auto host_begin = std::string("http://").size();
    const auto path = url.find('/', host_begin);
    const std::string host = url.substr(host_begin, path - host_begin);
    const auto port = static_cast<std::uint16_t>(std::stoi(host.substr(host.find(':') + 1)));
    RawSocket client = RawSocket::connect(port);
    REQUIRE(client.send("GET " + url.substr(path) + "chat HTTP/1.1\r\nHost: " + host +
                        "\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n" +
                        (origin.empty() ? "" : "Origin: " + origin + "\r\n") + "\r\n"));
    return client.read_until("\r\n");
}

std::string own_origin(const std::string& url) {
    return url.substr(0, url.find('/', std::string("http://").size()));
}

constexpr const char* foreign = "http://elsewhere.example";
constexpr const char* switched = "HTTP/1.1 101 Switching Protocols\r\n";
constexpr const char* refused = "HTTP/1.1 403 Forbidden\r\n";

}  // namespace

TEST_CASE("a strict service's backends take upgrades of their own pages alone, once started so") {
    const WebBackend web;
    const Home& home = web.home;
    CHECK(upgraded(web.url(), foreign) == switched);

    home.output_of({"service", "update", "web", "--allow-origins", "strict"});
    CHECK(home.output_of({"service", "info", "web"}).find("allow origins  strict") !=
          std::string::npos);
    CHECK(upgraded(web.url(), foreign) == switched);
    const std::string strict = home.output_of({"connect", "web", "--key", "strict"});
    CHECK(upgraded(strict, foreign) == refused);
    CHECK(upgraded(strict, "null") == refused);
    CHECK(upgraded(strict, own_origin(strict)) == switched);
    CHECK(upgraded(strict, "") == switched);
    CHECK(fetch(strict).status == 200);

    home.output_of({"service", "create", "web/open", "--allow-origins", "any"});
    const std::string open = home.output_of({"connect", "web/open", "--key", "open"});
    CHECK(upgraded(open, foreign) == switched);

    home.output_of({"daemon", "restart"});
    CHECK(upgraded(strict, foreign) == refused);
    CHECK(upgraded(web.url(), foreign) == switched);
    CHECK(home.keys().size() == 3);
}
