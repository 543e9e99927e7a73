#include "daemon/backends/port_owner.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/unique_fd.h"
#include "tests/support/eventually.h"
#include "tests/support/headless.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

UniqueFd listen_on_ipv6(const in6_addr& address, bool ipv6_only, std::uint16_t& port) {
    UniqueFd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int only = ipv6_only;
    ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_addr = address;
    auto* generic = reinterpret_cast<sockaddr*>(&name);
    if (!listener || ::bind(listener.get(), generic, sizeof name) != 0) return UniqueFd();
    REQUIRE(::listen(listener.get(), 1) == 0);
    socklen_t size = sizeof name;
    ::getsockname(listener.get(), generic, &size);
    port = ntohs(name.sin6_port);
    return listener;
}

// A child that runs `work` and then waits to be killed; `work` is done when this returns.
template <class Work>
class Forked {
  public:
    explicit Forked(Work work) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            work();
            [[maybe_unused]] const auto told = ::write(ends[1], "x", 1);
            for (;;)
                ::pause();
        }
        char byte;
        REQUIRE(::read(ends[0], &byte, 1) == 1);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    Forked(const Forked&) = delete;
    Forked& operator=(const Forked&) = delete;
    ~Forked() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = 0;
};

bool names(const PortReport& report, const Listener& listener) {
    return std::ranges::find(report.listeners, listener) != report.listeners.end();
}

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

TEST_CASE("a server whose first thread has ended owns its port") {
    std::uint16_t port = 0;
    UniqueFd listener = listen_on(INADDR_LOOPBACK, port);
    const Headless server;
    listener.reset();
    CHECK(port_place(port, ::getpid()).owner == PortOwner::tree);
    CHECK(names(report_on_port(port, ::getpid()), {"127.0.0.1", port}));
}

TEST_CASE("the owner of a listening port is told: the tree, somebody else, or nobody") {
    for (const in_addr_t address : {INADDR_LOOPBACK, INADDR_ANY}) {
        std::uint16_t port = 0;
        UniqueFd listener = listen_on(address, port);
        CHECK(port_place(port, ::getppid()).owner == PortOwner::tree);

        const pid_t child = ::fork();  // a tree that has no part in it, once it closed its copy
        if (child == 0) {
            ::close(listener.get());
            for (;;)
                ::pause();
        }
        CHECK(port_place(port, child).owner == PortOwner::stranger);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);

        listener.reset();
        CHECK(port_place(port, ::getppid()).owner == PortOwner::nobody);
    }
}

TEST_CASE("a listener on another address of the machine is not where 127.0.0.1 leads") {
    std::uint16_t port = 0;
    const UniqueFd listener = listen_on(INADDR_LOOPBACK + 1, port);
    CHECK(port_place(port, ::getppid()).owner == PortOwner::nobody);
}

TEST_CASE("a report names every socket that the tree listens on, and where it leads") {
    std::uint16_t loopback_port = 0;
    std::uint16_t any_port = 0;
    std::uint16_t other_port = 0;
    const UniqueFd loopback = listen_on(INADDR_LOOPBACK, loopback_port);
    const UniqueFd any = listen_on(INADDR_ANY, any_port);
    const UniqueFd other = listen_on(INADDR_LOOPBACK + 1, other_port);
    const PortReport report = report_on_port(loopback_port, ::getppid());
    CHECK(report.owner == PortOwner::tree);
    CHECK_FALSE(report.stranger);
    CHECK(names(report, {"127.0.0.1", loopback_port}));
    CHECK(names(report, {"0.0.0.0", any_port}));
    CHECK(names(report, {"127.0.0.2", other_port}));
    CHECK(report_on_port(other_port, ::getppid()).owner == PortOwner::nobody);
}

TEST_CASE("where nobody listens on 127.0.0.1, a port leads to [::1]") {
    std::uint16_t loopback_port = 0;
    std::uint16_t dual_port = 0;
    std::uint16_t only_port = 0;
    std::uint16_t mapped_port = 0;
    in6_addr mapped_address{};
    ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped_address);
    const UniqueFd loopback = listen_on_ipv6(in6addr_loopback, true, loopback_port);
    const UniqueFd dual = listen_on_ipv6(in6addr_any, false, dual_port);
    const UniqueFd only = listen_on_ipv6(in6addr_any, true, only_port);
    const UniqueFd mapped = listen_on_ipv6(mapped_address, false, mapped_port);
    if (!loopback || !dual) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    const PortReport report = report_on_port(loopback_port, ::getppid());
    CHECK(report.owner == PortOwner::tree);
    CHECK(names(report, {"::1", loopback_port}));
    CHECK(names(report, {"::", dual_port}));
    CHECK(names(report, {"::", only_port}));
    CHECK(names(report, {"::ffff:127.0.0.1", mapped_port}));
    for (const auto& [port, is_ipv6] : {std::pair{loopback_port, true},
                                        {only_port, true},
                                        {dual_port, false},
                                        {mapped_port, false}}) {
        const PortPlace place = port_place(port, ::getppid());
        CHECK(place.owner == PortOwner::tree);
        CHECK(place.is_ipv6 == is_ipv6);
        REQUIRE(place.listener);
        CHECK(place.listener->user == ::geteuid());
        CHECK(place.listener->cookie != 0);
    }
}

TEST_CASE("who listens on 127.0.0.1 has the port, whoever does on [::1]") {
    std::uint16_t port = 0;
    const UniqueFd on_ipv6 = listen_on_ipv6(in6addr_loopback, true, port);
    if (!on_ipv6) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    CHECK(port_place(port, ::getppid()).is_ipv6);
    const RawListener on_ipv4(AF_INET, port);
    CHECK_FALSE(port_place(port, ::getppid()).is_ipv6);
}

TEST_CASE("a stranger on the port is named, and the tree's own sockets still are") {
    std::uint16_t stranger_port = 0;
    std::uint16_t own_port = 0;
    UniqueFd stranger = listen_on(INADDR_LOOPBACK, stranger_port);
    const Forked grandparent([&] {
        stranger.reset();
        if (::fork() != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const UniqueFd own = listen_on(INADDR_LOOPBACK, own_port);
        for (;;)
            ::pause();
    });
    PortReport report;
    REQUIRE(test::eventually([&] {
        report = report_on_port(stranger_port, grandparent.pid());
        return report.listeners.size() == 1;
    }));
    CHECK(report.owner == PortOwner::stranger);
    CHECK(report.stranger == NamedProcess{::getpid(), "unit_tests"});
    CHECK(report.listeners[0].port != stranger_port);
}
