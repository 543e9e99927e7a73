#include "daemon/backends/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>

#include <fstream>

namespace jamsock {

namespace {

constexpr int lowest = 10000;  // below live the services that people start by hand
constexpr int highest = 65535;
constexpr int smallest_useful_range = 1000;

// Empty, with errno, if that can't be.
UniqueFd bound_to(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
    return socket;
}

}  // namespace

ListeningSocket listen_on(std::uint16_t port) {
    ListeningSocket listening{.fd = bound_to(port)};
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

// Round the range from a random start: a port just given is the last to be given again.
std::optional<std::uint16_t> Ports::pick() {
    for (int tries = last_ - first_ + 1; tries > 0; --tries) {
        const std::uint16_t port = next_;
        next_ = port == last_ ? first_ : static_cast<std::uint16_t>(port + 1);
        if (bound_to(port)) return port;
    }
    return std::nullopt;
}

}  // namespace jamsock
