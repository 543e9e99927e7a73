#include "daemon/backends/port_owner.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "common/unique_fd.h"
#include "daemon/backends/ports.h"

using namespace jamsock;

namespace {

UniqueFd listen_on(in_addr_t address, std::uint16_t& port) {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(address);
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    socklen_t size = sizeof name;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size);
    port = ntohs(name.sin_port);
    return listener;
}

}  // namespace

TEST_CASE("the owner of a listening port is told: the tree, somebody else, or nobody") {
    for (const in_addr_t address : {INADDR_LOOPBACK, INADDR_ANY}) {
        std::uint16_t port = 0;
        UniqueFd listener = listen_on(address, port);
        CHECK(port_owner(port, ::getppid()) == PortOwner::tree);

        const pid_t child = ::fork();  // a tree that has no part in it, once it closed its copy
        if (child == 0) {
            ::close(listener.get());
            for (;;)
                ::pause();
        }
        CHECK(port_owner(port, child) == PortOwner::stranger);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);

        listener.reset();
        CHECK(port_owner(port, ::getppid()) == PortOwner::nobody);
    }
}

TEST_CASE("a listener on another address of the machine is not where 127.0.0.1 leads") {
    std::uint16_t port = 0;
    const UniqueFd listener = listen_on(INADDR_LOOPBACK + 1, port);
    CHECK(port_owner(port, ::getppid()) == PortOwner::nobody);
}

TEST_CASE("picked ports can be bound, differ, and lie outside the ephemeral range") {
    Ports ports;
    int first = 0;
    int last = 0;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
    std::uint16_t previous = 0;
    for (int i = 0; i < 100; ++i) {
        const auto port = ports.pick();
        REQUIRE(port);
        CHECK((*port < first || *port > last));
        CHECK(*port != previous);
        previous = *port;
    }
}
