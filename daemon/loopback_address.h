// An address of this machine's loopback, as the kernel's calls take it. Immutable.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

namespace jamsock {

class LoopbackAddress {
  public:
    // `family`: AF_INET for 127.0.0.1, AF_INET6 for [::1].
    LoopbackAddress(int family, std::uint16_t port) {
        bytes_.sin6_family = static_cast<sa_family_t>(family);
        bytes_.sin6_port = htons(port);  // the same place in both
        if (family == AF_INET6) {
            bytes_.sin6_addr = in6addr_loopback;
        } else {
            reinterpret_cast<sockaddr_in&>(bytes_).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        }
    }

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes_); }
    socklen_t size() const {
        return bytes_.sin6_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    }

  private:
    sockaddr_in6 bytes_{};
};

}  // namespace jamsock
