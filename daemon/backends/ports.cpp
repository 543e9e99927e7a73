#include "daemon/backends/ports.h"

#include <errno.h>
#include <sodium.h>
#include <sys/socket.h>

#include <fstream>
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

}  // namespace

ListeningSocket listen_on(std::uint16_t port) {
    ListeningSocket listening{.fd = bound_to(AF_INET, port, Remnants::are_ignored)};
    if (listening.fd && ::listen(listening.fd.get(), SOMAXCONN) == 0) return listening;
    return {.error = errno};
}

// On both addresses, as a backend may take either; a machine may have no IPv6.
bool is_free(std::uint16_t port) {
    return bound_to(AF_INET, port, Remnants::are_in_the_way) &&
           (bound_to(AF_INET6, port, Remnants::are_in_the_way) || errno != EADDRINUSE);
}

Ports::Ports() {
    int ephemeral_first = 32768;
    int ephemeral_last = 60999;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> ephemeral_first >> ephemeral_last;
    const bool below = ephemeral_first - lowest >= smallest_useful_range;
    const int first = below ? lowest : ephemeral_last + 1;
    const int last = below ? ephemeral_first - 1 : highest;
    for (int port = first; port <= last; ++port)
        ring_.push_back(static_cast<std::uint16_t>(port));
}

// One of the half that was not given for longest.
std::optional<std::uint16_t> Ports::pick() {
    const auto choice = static_cast<std::uint32_t>(ring_.size() / 2);
    for (std::size_t tries = ring_.size(); tries > 0; --tries) {
        const std::size_t chosen = (next_ + ::randombytes_uniform(choice)) % ring_.size();
        std::swap(ring_[next_], ring_[chosen]);
        const std::uint16_t port = ring_[next_];
        next_ = (next_ + 1) % ring_.size();
        if (is_free(port)) return port;
    }
    return std::nullopt;
}

}  // namespace jamsock
