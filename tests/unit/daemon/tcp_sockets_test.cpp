#include "daemon/tcp_sockets.h"

#include <doctest/doctest.h>

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
