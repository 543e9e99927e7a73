#include "daemon/backends/ports.h"

#include <errno.h>
#include <fmt/format.h>
#include <sodium.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "daemon/loopback_address.h"

namespace jamsock {

namespace {

constexpr int lowest = 10000;  // below live the services that people start by hand
constexpr int highest = 65535;
constexpr int smallest_useful_range = 1000;

// What was there before and is in TIME_WAIT: SO_REUSEADDR.
enum class Remnants { are_in_the_way, are_ignored };

// Empty, with errno, if that can't be.
UniqueFd bound_to(int family, std::uint16_t port, Remnants remnants) {
    UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return socket;
    const int reuse = remnants == Remnants::are_ignored;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    const LoopbackAddress address(family, port);
    if (::bind(socket.get(), address.get(), address.size()) != 0) return {};
    return socket;
}

// On both addresses, as a backend may take either; a machine may have no IPv6.
bool is_free(std::uint16_t port) {
    return bound_to(AF_INET, port, Remnants::are_in_the_way) &&
           (bound_to(AF_INET6, port, Remnants::are_in_the_way) || errno != EADDRINUSE);
}

// A socket's name in the network namespace, as are the ports: all users of the machine see it,
// nobody needs a right or a file, and the kernel frees it with its holder. Empty: it is taken.
UniqueFd reserve(std::uint16_t port) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string text = fmt::format("jamsock-port-{}", port);
    text.copy(name.sun_path + 1, text.size());  // behind a null byte: no file
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), size) != 0) return {};
    return socket;
}

}  // namespace

ListeningSocket listen_on(std::uint16_t port) {
    ListeningSocket listening{.fd = bound_to(AF_INET, port, Remnants::are_ignored)};
    if (listening.fd && ::listen(listening.fd.get(), SOMAXCONN) == 0) return listening;
    return {.error = errno};
}

Ports::Ports() {
    int ephemeral_first = 32768;
    int ephemeral_last = 60999;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> ephemeral_first >> ephemeral_last;
    const bool below = ephemeral_first - lowest >= smallest_useful_range;
    first_ = static_cast<std::uint16_t>(below ? lowest : ephemeral_last + 1);
    last_ = static_cast<std::uint16_t>(below ? ephemeral_first - 1 : highest);
    next_ = static_cast<std::uint16_t>(first_ + ::randombytes_uniform(last_ - first_ + 1u));
}

Ports::Ports(std::uint16_t first_try) : Ports() {
    next_ = std::clamp(first_try, first_, last_);
}

// Round the range from the start: a port just given is the last to be given again. Reserved before
// it is tested, so that no test meets the backend of another daemon that is about to bind.
std::optional<PickedPort> Ports::pick() {
    for (int tries = last_ - first_ + 1; tries > 0; --tries) {
        const std::uint16_t port = next_;
        next_ = port == last_ ? first_ : static_cast<std::uint16_t>(port + 1);
        UniqueFd reservation = reserve(port);
        if (reservation && is_free(port)) return PickedPort{port, std::move(reservation)};
    }
    return std::nullopt;
}

}  // namespace jamsock
