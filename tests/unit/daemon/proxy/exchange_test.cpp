// Where one exchange could leak into the next, or never end: raw clients and a raw backend whose
// sides the test plays.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "daemon/proxy/proxy.h"
#include "tests/support/eventually.h"
#include "tests/support/raw_socket.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;
using test::eventually;

// A proxy of one thread with one ready backend.
struct Setting {
    Setting() {
        RawListener listening;
        port = listening.port();
        std::vector<UniqueFd> sockets;
        sockets.push_back(listening.take());
        const int socket = sockets.front().get();
        // What is accepted inherits its buffers' sizes.
        const int small = 4096;
        ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        proxy.emplace(std::move(sockets), 1, ProxyLimits{}, [](const std::string&, const auto&) {});
        publish(Route::State::ready);
        proxy->start();
    }

    void publish(Route::State state) {
        proxy->publish(std::make_shared<const Route>(Route{.id = BackendId::parse("knrv5").value(),
                                                           .serial = 1,
                                                           .key = key,
                                                           .state = state,
                                                           .port = backend.port(),
                                                           .activity = activity,
                                                           .revoked = nullptr}));
    }
    RawSocket connect() const { return RawSocket::connect(port); }
    // … for which almost nothing fits on the way.
    RawSocket connect_narrowly() const {
        UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int small = 4096;
        ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::connect(socket.get(), generic, sizeof address) == 0);
        return RawSocket(std::move(socket));
    }
    std::string request(const std::string& method, const std::string& path = "/",
                        const std::string& lines = "") const {
        return method + " /" + token + path + " HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
    }
    bool is_idle() const { return activity->in_flight() == 0; }

    RawListener backend;
    MacKey key = MacKey::generate();
    std::shared_ptr<Activity> activity = std::make_shared<Activity>();
    std::string token = ConnectionToken::issue(
                            key, 1, static_cast<std::uint32_t>(wall_milliseconds() / 1000), false)
                            .reveal();
    std::uint16_t port = 0;
    std::optional<Proxy> proxy;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string status_line(const std::string& response) {
    return response.substr(0, response.find("\r\n"));
}

std::string response_of(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Begins to serve a request that came on a connection of its own.
RawSocket take_first(const Setting& test) {
    RawSocket server = test.backend.accept();
    server.read_until("\r\n\r\n");
    return server;
}

// How much of the text the other side takes before it takes no more for a while.
std::size_t takes_of(const RawSocket& socket, std::string_view text) {
    std::size_t taken = 0;
    pollfd writable{.fd = socket.fd(), .events = POLLOUT, .revents = 0};
    while (taken < text.size() && ::poll(&writable, 1, 2000) == 1) {
        const std::string_view rest = text.substr(taken);
        const auto sent =
            ::send(socket.fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) break;
        taken += static_cast<std::size_t>(sent);
    }
    return taken;
}

}  // namespace

TEST_CASE("what a backend sends behind its answer while the client is slow is nobody's answer") {
    Setting test;
    RawSocket client = test.connect_narrowly();
    client.send(test.request("GET", "/long"));
    RawSocket server = take_first(test);
    const std::string body(48 * 1024, 'x');
    server.send(response_of(body));
    CHECK_FALSE(client.is_silent(raw_deadline));  // so the rest of it waits in the proxy
    server.send(response_of("forged"));
    CHECK(client.read_response().ends_with(body));

    client.send(test.request("GET", "/next"));
    take_first(test).send(response_of("mine"));
    CHECK(client.read_response().ends_with("\r\n\r\nmine"));
}

TEST_CASE("a connection whose backend announced a body that no such answer has serves no other") {
    Setting test;
    RawSocket client = test.connect();
    std::string answer;
    SUBCASE("204 with a length") {
        client.send(test.request("GET"));
        answer = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    }
    SUBCASE("204 in chunks") {
        client.send(test.request("GET"));
        answer = "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n";
    }
    RawSocket server = take_first(test);
    server.send(answer);
    CHECK(status_line(client.read_response(true)) == "HTTP/1.1 204 No Content");
    client.send(test.request("GET", "/next"));
    take_first(test).send(response_of("mine"));
    CHECK(client.read_response().ends_with("\r\n\r\nmine"));
}

TEST_CASE("who reads none of its refusals is read no further, so they take no memory") {
    Setting test;
    RawSocket client = test.connect_narrowly();
    std::string many;
    while (many.size() < 1 << 20)
        many += "GET /" + std::string(43, 'A') + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    CHECK(takes_of(client, many) < many.size());
}

TEST_CASE("a request that met a closed connection goes to no backend that is ending by now") {
    Setting test;
    RawSocket client = test.connect();
    client.send(test.request("GET", "/first"));
    RawSocket server = take_first(test);
    server.send(response_of("ok"));
    CHECK(client.read_response().ends_with("ok"));
    client.send(test.request("GET", "/second"));
    CHECK(has(server.read_until("\r\n\r\n"), "GET /second "));
    test.activity->close();
    test.publish(Route::State::ending);
    server.close();
    CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
    CHECK_FALSE(test.backend.has_client(50ms));
}

TEST_CASE("a request whose answer has begun with an interim one is not sent twice") {
    Setting test;
    RawSocket client = test.connect();
    client.send(test.request("GET", "/first"));
    RawSocket server = take_first(test);
    server.send(response_of("ok"));
    CHECK(client.read_response().ends_with("ok"));
    client.send(test.request("GET", "/second"));
    CHECK(has(server.read_until("\r\n\r\n"), "GET /second "));
    server.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    CHECK(has(client.read_until("\r\n\r\n"), "103 Early Hints"));
    server.close();
    CHECK(status_line(client.read_response()) == "HTTP/1.1 502 Bad Gateway");
    CHECK_FALSE(test.backend.has_client(50ms));
}

TEST_CASE("a client that leaves in its upload frees a backend that reads none of it") {
    Setting test;
    RawSocket client = test.connect();
    client.send(test.request("POST", "/", "Content-Length: 1073741824\r\n"));
    RawSocket server = take_first(test);
    client.send_until_stuck(std::string(1 << 20, 'x'), 1 << 30, 200ms);
    CHECK(test.activity->in_flight() == 1);
    client.close();
    CHECK(eventually([&] { return test.is_idle(); }));
}

TEST_CASE("an answer that lasts until the connection's end is broken, not ended, by a cut") {
    Setting test;
    RawSocket client = test.connect();
    client.send("GET /" + test.token + "/ HTTP/1.0\r\nHost: localhost\r\n\r\n");
    RawSocket server = take_first(test);
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    CHECK(client.read_until("half").ends_with("half"));
    test.proxy->stop();
    CHECK(client.read_to_end().empty());
    CHECK(client.is_broken());
}

}  // namespace jamsock
