#include "daemon/proxy/port_guard.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "tests/support/eventually.h"
#include "tests/support/proxy_scene.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

using Answer = TcpInquiry::Answer;

constexpr uid_t ours = 1000;
constexpr uid_t strangers = 1001;
constexpr KnownListener known{ours, 7};

constexpr Answer untold{};
constexpr Answer none{.is_known = true};
Answer listening(uid_t user, std::uint64_t cookie) {
    return {true, TcpSocket{.inode = 1, .user = user, .cookie = cookie}};
}
Answer waiting_at(uid_t user) {
    return {true, TcpSocket{.inode = 0, .user = user, .cookie = 9}};
}
Answer accepted_by(uid_t user) {
    return {true, TcpSocket{.inode = 2, .user = user, .cookie = 9}};
}

KnownListener listener_now(const TestBackend& backend) {
    TcpInquiry inquiry;
    const int family = backend.is_ipv6 ? AF_INET6 : AF_INET;
    const auto found = inquiry.listener(TcpEndpoint::loopback(family, backend.listener.port()));
    return {found.socket.value().user, found.socket.value().cookie};
}

constexpr const char* bad_gateway = "HTTP/1.1 502 Bad Gateway";
constexpr const char* gone = "HTTP/1.1 410 Gone";

// A proxy whose backend has ended, and on whose port another user listens.
struct Robbed {
    explicit Robbed(int family = AF_INET) : backend("robbd", 2, family) {
        backend.known = listener_now(backend);
        backend.known->user += 1;
        backend.known->cookie += 1;
        proxy.proxy->publish(backend.route(Route::State::ready));
    }
    std::string request(const std::string& lines = "") const {
        return "GET /" + backend.token() +
               "/secret HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\n" + lines + "\r\n";
    }

    TestProxy proxy;
    TestBackend backend;
};

}  // namespace

TEST_CASE("the socket that listened when the backend became ready is trusted, a stranger's never") {
    CHECK(judge_listener(known, listening(ours, 7)) == PortVerdict::ours);
    CHECK(judge_listener(known, listening(ours, 8)) == PortVerdict::undecided);
    CHECK(judge_listener(known, none) == PortVerdict::undecided);
    CHECK(judge_listener(known, untold) == PortVerdict::strange);
    for (const std::uint64_t cookie : {0, 7, 8})
        CHECK(judge_listener(known, listening(strangers, cookie)) == PortVerdict::strange);
}

TEST_CASE("where another socket listens, whoever has the connection decides") {
    for (const Answer& listener : {listening(ours, 8), none}) {
        CHECK(is_users_connection(known, listener, accepted_by(ours)));
        CHECK_FALSE(is_users_connection(known, listener, accepted_by(strangers)));
        CHECK_FALSE(is_users_connection(known, listener, none));
        CHECK_FALSE(is_users_connection(known, listener, untold));
    }
    // Of one that nobody has accepted the user says nothing: old kernels call it root's.
    for (const uid_t user : {uid_t{0}, ours, strangers}) {
        CHECK(is_users_connection(known, listening(ours, 8), waiting_at(user)));
        CHECK_FALSE(is_users_connection(known, none, waiting_at(user)));
    }
}

TEST_CASE("a stranger on an ended backend's port gets not one byte, over IPv4 and IPv6") {
    for (const int family : {AF_INET, AF_INET6}) {
        if (family == AF_INET6 && !has_ipv6_loopback()) continue;
        const Robbed robbed(family);
        RawSocket client = robbed.proxy.connect();
        client.send(robbed.request());
        RawSocket stranger = robbed.backend.listener.accept();
        CHECK(stranger.read_to_end().empty());
        CHECK(status_line(client.read_response()) == bad_gateway);
    }
}

TEST_CASE("nor does what cannot be sent twice, nor what asks for an upgrade") {
    const Robbed robbed;
    for (const std::string& lines :
         {std::string("Content-Length: 4\r\n\r\nbody"),
          std::string("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")}) {
        RawSocket client = robbed.proxy.connect();
        client.send(robbed.request(lines));
        RawSocket stranger = robbed.backend.listener.accept();
        CHECK(stranger.read_to_end().empty());
        CHECK(status_line(client.read_response()) == bad_gateway);
    }
}

TEST_CASE("what a stranger says on an ended backend's port reaches no client") {
    const Robbed robbed;
    for (int i = 0; i < 50; ++i) {
        RawSocket client = robbed.proxy.connect();
        client.send(robbed.request());
        RawSocket stranger = robbed.backend.listener.accept();
        stranger.send(ok);
        CHECK(status_line(client.read_response()) == bad_gateway);
    }
}

TEST_CASE("of a backend that is known to have ended, a stranger's port is said to be gone") {
    const Robbed robbed;
    RawSocket client = robbed.proxy.connect();
    client.send(robbed.request());
    RawSocket stranger = robbed.backend.listener.accept();
    client.read_response();
    robbed.backend.activity->close();
    client.send(robbed.request());
    CHECK(status_line(client.read_response()) == gone);
}

TEST_CASE("the listener of a ready backend gets its requests") {
    TestProxy proxy;
    proxy.backend.known = listener_now(proxy.backend);
    proxy.proxy->publish(proxy.backend.route(Route::State::ready));
    for (int i = 0; i < 3; ++i)
        proxy.check_that_it_serves();
}

TEST_CASE("a listener that the same user opened anew gets requests, and is known from then on") {
    TestProxy proxy;
    proxy.backend.known = listener_now(proxy.backend);
    proxy.backend.known->cookie += 1;
    proxy.proxy->publish(proxy.backend.route(Route::State::ready));
    for (int i = 0; i < 3; ++i)
        proxy.check_that_it_serves();
}

TEST_CASE("a large upload goes on when the backend's port is found to be its own") {
    TestProxy proxy;
    proxy.backend.known = listener_now(proxy.backend);
    proxy.proxy->publish(proxy.backend.route(Route::State::ready));
    RawSocket client = proxy.connect();
    const std::string body(100'000, 'x');
    client.send(proxy.post("Content-Length: 200000\r\n") + body);
    RawSocket server = proxy.backend.listener.accept();
    CHECK(server.read_until("\r\n\r\n").starts_with("POST / HTTP/1.1\r\n"));
    client.send(body);
    CHECK(server.read_exactly(200'000) == body + body);
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
}
