#include "daemon/proxy/peer.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "common/unique_fd.h"
#include "daemon/tcp_sockets.h"
#include "tests/support/eventually.h"

using namespace jamsock;
using test::eventually;

namespace {

struct Name {
    sockaddr_storage bytes{};
    socklen_t size = sizeof bytes;

    Name(int family, const char* address) {
        bytes.ss_family = static_cast<sa_family_t>(family);
        void* at = family == AF_INET
                       ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(bytes).sin_addr)
                       : &reinterpret_cast<sockaddr_in6&>(bytes).sin6_addr;
        REQUIRE(::inet_pton(family, address, at) == 1);
        size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    }
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
    in_port_t& port() { return reinterpret_cast<sockaddr_in&>(bytes).sin_port; }  // in both
};

UniqueFd socket_of(int family) {
    return UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

// How a client comes to a listener.
struct Way {
    const char* name;
    int listener_family;
    const char* listener;
    int client_family;
    const char* client;
};
constexpr Way by_ipv4{"IPv4", AF_INET, "127.0.0.1", AF_INET, "127.0.0.1"};
constexpr Way ways[] = {
    by_ipv4,
    {"another address of the loopback", AF_INET, "127.1.2.3", AF_INET, "127.1.2.3"},
    {"IPv6", AF_INET6, "::1", AF_INET6, "::1"},
    {"IPv4 to a listener of both families", AF_INET6, "::", AF_INET, "127.0.0.1"},
    {"IPv4 written as IPv6", AF_INET, "127.0.0.1", AF_INET6, "::ffff:127.0.0.1"},
};

// The two ends of a connection; both empty where the machine has no such way.
struct Connection {
    UniqueFd client;
    UniqueFd accepted;

    explicit Connection(const Way& way) {
        const UniqueFd listener = socket_of(way.listener_family);
        Name name(way.listener_family, way.listener);
        if (::bind(listener.get(), name.get(), name.size) != 0) return;
        REQUIRE(::listen(listener.get(), 1) == 0);
        REQUIRE(::getsockname(listener.get(), name.get(), &name.size) == 0);
        Name to(way.client_family, way.client);
        to.port() = name.port();
        client = socket_of(way.client_family);
        REQUIRE(::connect(client.get(), to.get(), to.size) == 0);
        accepted.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

    bool has_ended() const {
        char byte;
        return ::recv(accepted.get(), &byte, 1, MSG_PEEK) == 0;
    }
    PeerState peer() const { return peer_state(accepted.get()); }
    bool is_gone_at_last() const {
        return eventually([&] { return peer() == PeerState::gone; });
    }
};

}  // namespace

TEST_CASE("a peer that only half-closed is open, one that closed is gone") {
    for (const Way& way : ways) {
        CAPTURE(way.name);
        Connection connection(way);
        if (!connection.client) {
            MESSAGE("skipped: this machine has no ", way.name);
            continue;
        }
        CHECK(connection.peer() == PeerState::open);
        ::shutdown(connection.client.get(), SHUT_WR);
        REQUIRE(connection.has_ended());
        CHECK(connection.peer() == PeerState::open);
        connection.client.reset();
        CHECK(connection.is_gone_at_last());
    }
}

TEST_CASE("a peer that closed at once is gone, whatever is on the way to it") {
    Connection connection(by_ipv4);
    connection.client.reset();
    REQUIRE(connection.has_ended());
    CHECK(connection.is_gone_at_last());

    Connection full(by_ipv4);  // its FIN waits behind what nobody reads
    char bytes[65536] = {};
    while (::send(full.client.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
    CHECK(full.peer() == PeerState::open);
    full.client.reset();
    CHECK(full.is_gone_at_last());
}

TEST_CASE("a peer that ended with a reset is not open") {
    Connection connection(by_ipv4);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    connection.client.reset();
    CHECK(eventually([&] { return connection.peer() != PeerState::open; }));
}

TEST_CASE("a peer of which the kernel keeps nothing any more is gone") {
    Connection connection(by_ipv4);
    const int kept_seconds = 1;  // in place of 60
    ::setsockopt(connection.client.get(), IPPROTO_TCP, TCP_LINGER2, &kept_seconds, sizeof(int));
    Name name(AF_INET, "0.0.0.0");
    REQUIRE(::getsockname(connection.client.get(), name.get(), &name.size) == 0);
    Name other(AF_INET, "0.0.0.0");
    REQUIRE(::getpeername(connection.client.get(), other.get(), &other.size) == 0);
    const std::string in_table =
        fmt::format(": 0100007F:{:04X} 0100007F:{:04X} ", ntohs(name.port()), ntohs(other.port()));
    connection.client.reset();
    REQUIRE(eventually([&] {
        std::ifstream table("/proc/net/tcp");
        const std::string all{std::istreambuf_iterator<char>(table), {}};
        return all.find(in_table) == std::string::npos;
    }));
    CHECK(connection.peer() == PeerState::gone);
}

TEST_CASE("the peer is open as long as any process has its socket, and gone with the last") {
    Connection connection(by_ipv4);
    const pid_t child = ::fork();
    if (child == 0) {
        for (;;)
            ::pause();
    }
    ::shutdown(connection.client.get(), SHUT_WR);
    connection.client.reset();
    REQUIRE(connection.has_ended());
    CHECK(connection.peer() == PeerState::open);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(connection.is_gone_at_last());
}

TEST_CASE("of what is no connection on the loopback nothing is known") {
    CHECK(peer_state(-1) == PeerState::unknown);
    CHECK(peer_state(socket_of(AF_INET).get()) == PeerState::unknown);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd one(ends[0]);
    const UniqueFd other(ends[1]);
    CHECK(peer_state(one.get()) == PeerState::unknown);
}

TEST_CASE("the user who opened the other end is told until that is closed") {
    TcpInquiry inquiry;
    for (const Way& way : ways) {
        CAPTURE(way.name);
        Connection connection(way);
        if (!connection.client) continue;
        CHECK(peer_user(inquiry, connection.accepted.get()) == ::geteuid());
        connection.client.reset();
        CHECK(eventually([&] { return !peer_user(inquiry, connection.accepted.get()); }));
    }
}

TEST_CASE("the user of another's connection is that one, and not this") {
    if (::geteuid() != 0) return;
    constexpr uid_t stranger = 65534;
    // The kernel notes who makes a socket: its maker's file system user.
    ::setfsuid(stranger);
    Connection connection(by_ipv4);
    ::setfsuid(0);
    TcpInquiry inquiry;
    CHECK(peer_user(inquiry, connection.accepted.get()) == stranger);
}
