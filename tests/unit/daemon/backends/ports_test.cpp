#include "daemon/backends/ports.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "daemon/backends/port_owner.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;

TEST_CASE("a port that was picked can be listened on once, and blocks as from systemd") {
    Ports ports;
    const std::uint16_t port = ports.pick().value().number;
    const ListeningSocket first = listen_on(port);
    REQUIRE(first.fd);
    CHECK((::fcntl(first.fd.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(first.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(port_place(port, ::getppid()).owner == PortOwner::tree);

    const ListeningSocket second = listen_on(port);
    CHECK_FALSE(second.fd);
    CHECK(second.error == EADDRINUSE);
}

TEST_CASE("picked ports differ, and lie outside the ephemeral range") {
    Ports ports;
    int first = 0;
    int last = 0;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
    std::uint16_t previous = 0;
    for (int i = 0; i < 100; ++i) {
        const auto port = ports.pick();
        REQUIRE(port);
        CHECK((port->number < first || port->number > last));
        CHECK(port->number != previous);
        previous = port->number;
    }
}

TEST_CASE("a port that one daemon gave away is given by no other until that lets go of it") {
    auto given = Ports().pick();
    REQUIRE(given);
    CHECK(Ports(given->number).pick().value().number != given->number);
    given->reservation.reset();
    CHECK(Ports(given->number).pick().value().number == given->number);
}

TEST_CASE("daemons that begin at the same port give different ones") {
    const std::uint16_t start = Ports().pick().value().number;
    Ports one(start);
    Ports other(start);
    std::vector<PickedPort> given;
    for (int i = 0; i < 50; ++i) {
        given.push_back(one.pick().value());
        given.push_back(other.pick().value());
    }
    std::ranges::sort(given, {}, &PickedPort::number);
    CHECK(std::ranges::adjacent_find(given, {}, &PickedPort::number) == given.end());
}

TEST_CASE("a port that a backend could not bind for what is left of old connections is not given") {
    const std::uint16_t port = Ports().pick().value().number;
    {
        const ListeningSocket listening = listen_on(port);
        RawSocket client = RawSocket::connect(port);
        UniqueFd accepted(::accept(listening.fd.get(), nullptr, nullptr));
        accepted.reset();  // who closes first keeps the remnant
        REQUIRE(client.is_at_end());
    }
    CHECK(Ports(port).pick().value().number != port);
}

TEST_CASE("a port that somebody has on [::1] is not given") {
    if (!has_ipv6_loopback()) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    const std::uint16_t port = Ports().pick().value().number;
    const RawListener stranger(AF_INET6, port);
    CHECK(Ports(port).pick().value().number != port);
}
