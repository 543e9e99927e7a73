#include "daemon/tcp_sockets.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "tests/support/raw_socket.h"

using namespace jamsock;

TEST_CASE("a socket's port is told, whatever its family; what is no such socket has none") {
    RawListener ipv4;
    const std::uint16_t port = ipv4.port();
    CHECK(bound_port(ipv4.take().get()) == port);
    if (has_ipv6_loopback()) {
        RawListener ipv6(AF_INET6);
        const std::uint16_t other = ipv6.port();
        CHECK(bound_port(ipv6.take().get()) == other);
    }
    CHECK(bound_port(-1) == 0);
}

TEST_CASE("a listener is found by the place that it takes connections to, and known again") {
    TcpInquiry inquiry;
    std::vector<int> families{AF_INET};
    if (has_ipv6_loopback()) families.push_back(AF_INET6);
    for (const int family : families) {
        const RawListener listener(family);
        const TcpEndpoint place = TcpEndpoint::loopback(family, listener.port());
        const auto first = inquiry.listener(place);
        REQUIRE(first.socket);
        CHECK(first.socket->user == ::geteuid());
        const RawSocket client = RawSocket::connect(listener.port(), family);
        const auto again = inquiry.listener(place);
        REQUIRE(again.socket);
        CHECK(again.socket->cookie == first.socket->cookie);
        const auto listed = tcp_listeners(listener.port());
        REQUIRE(listed.size() == 1);
        CHECK(listed.front().cookie == first.socket->cookie);
        CHECK(listed.front().user == ::geteuid());

        const auto ends = ends_of(client.fd());
        REQUIRE(ends);
        const auto waiting = inquiry.connected(ends->peer, ends->here);
        REQUIRE(waiting.socket);
        CHECK(waiting.socket->inode == 0);
        const RawSocket accepted = listener.accept();
        const auto taken = inquiry.connected(ends->peer, ends->here);
        REQUIRE(taken.socket);
        CHECK(taken.socket->inode != 0);
        CHECK(taken.socket->user == ::geteuid());
    }
}

TEST_CASE("a listener that takes another's place on a port is another socket") {
    TcpInquiry inquiry;
    std::optional<RawListener> first(std::in_place);
    const std::uint16_t port = first->port();
    const TcpEndpoint place = TcpEndpoint::loopback(AF_INET, port);
    const auto before = inquiry.listener(place).socket;
    first.reset();
    const auto none = inquiry.listener(place);
    CHECK(none.is_known);
    CHECK_FALSE(none.socket);
    const RawListener second(AF_INET, port);
    const auto after = inquiry.listener(place).socket;
    REQUIRE(before);
    REQUIRE(after);
    CHECK(after->cookie != before->cookie);
}

TEST_CASE("a listener of all addresses, and one bound to the loopback's device, are found") {
    TcpInquiry inquiry;
    for (const bool is_bound : {false, true}) {
        const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (is_bound) {
            REQUIRE(::setsockopt(listener.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
        }
        REQUIRE(::listen(listener.get(), 1) == 0);
        const auto place = TcpEndpoint::loopback(AF_INET, bound_port(listener.get()));
        CHECK(inquiry.listener(place).socket);
    }
}
