#include "daemon/backends/ports.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "daemon/backends/port_owner.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;

TEST_CASE("a port that was picked can be listened on once, and blocks as from systemd") {
    Ports ports;
    const std::uint16_t port = ports.pick().value();
    const ListeningSocket first = listen_on(port);
    REQUIRE(first.fd);
    CHECK((::fcntl(first.fd.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(first.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(port_place(port, ::getppid()).owner == PortOwner::tree);

    const ListeningSocket second = listen_on(port);
    CHECK_FALSE(second.fd);
    CHECK(second.error == EADDRINUSE);
}

TEST_CASE("picked ports lie outside the ephemeral range, and none is given again soon") {
    Ports ports;
    int first = 0;
    int last = 0;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
    std::set<std::uint16_t> given;
    for (int i = 0; i < 1000; ++i) {
        const auto port = ports.pick();
        REQUIRE(port);
        CHECK((*port < first || *port > last));
        CHECK(given.insert(*port).second);
    }
}

TEST_CASE("no port tells which one comes next, also where the chosen one was taken") {
    Ports ports;
    Ports other;
    int neighbours = 0;
    int meetings = 0;
    std::uint16_t before = ports.pick().value();
    for (int i = 0; i < 300; ++i) {
        const UniqueFd taken = listen_on(before).fd;
        const std::uint16_t port = ports.pick().value();
        if (std::abs(port - before) <= 8) ++neighbours;
        if (other.pick() == port) ++meetings;
        before = port;
    }
    CHECK(neighbours <= 6);  // one on average
    CHECK(meetings <= 3);    // 0.01
}

TEST_CASE("no name in the machine's list of sockets tells of a port that was picked") {
    Ports ports;
    std::vector<std::string> picked;
    for (int i = 0; i < 50; ++i)
        picked.push_back(std::to_string(ports.pick().value()));
    std::ifstream sockets("/proc/net/unix");
    std::string line;
    while (std::getline(sockets, line)) {
        const auto name = line.find('@');
        if (name == std::string::npos) continue;
        CHECK(line.substr(name).find("jamsock-port") == std::string::npos);
        const auto is_named = [&](const std::string& port) { return line.ends_with("-" + port); };
        CHECK(std::ranges::none_of(picked, is_named));
    }
}

TEST_CASE("a port that a backend could not bind for what is left of old connections is not free") {
    const std::uint16_t port = Ports().pick().value();
    CHECK(is_free(port));
    {
        const ListeningSocket listening = listen_on(port);
        RawSocket client = RawSocket::connect(port);
        UniqueFd accepted(::accept(listening.fd.get(), nullptr, nullptr));
        accepted.reset();  // who closes first keeps the remnant
        REQUIRE(client.is_at_end());
    }
    CHECK_FALSE(is_free(port));
}

TEST_CASE("a port that somebody has on [::1] is not free") {
    if (!has_ipv6_loopback()) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    const std::uint16_t port = Ports().pick().value();
    const RawListener stranger(AF_INET6, port);
    CHECK_FALSE(is_free(port));
}
