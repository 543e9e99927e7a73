#include "daemon/backends/ports.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/backends/port_owner.h"

using namespace jamsock;

TEST_CASE("a port that was picked can be listened on once, and blocks as from systemd") {
    Ports ports;
    const std::uint16_t port = ports.pick().value();
    const ListeningSocket first = listen_on(port);
    REQUIRE(first.fd);
    CHECK((::fcntl(first.fd.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(first.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(port_owner(port, ::getppid()) == PortOwner::tree);

    const ListeningSocket second = listen_on(port);
    CHECK_FALSE(second.fd);
    CHECK(second.error == EADDRINUSE);
}
