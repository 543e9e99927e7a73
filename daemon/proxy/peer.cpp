#include "daemon/proxy/peer.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <optional>

#include "daemon/tcp_sockets.h"

namespace jamsock {

namespace {

using GetName = int (*)(int, sockaddr*, socklen_t*);

std::optional<TcpEndpoint> endpoint(int socket, GetName get_name) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (get_name(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::nullopt;
    if (name.ss_family == AF_INET) {
        const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(name);
        return TcpEndpoint::ipv4(ipv4.sin_addr, ntohs(ipv4.sin_port));
    }
    if (name.ss_family != AF_INET6) return std::nullopt;
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(name);
    return TcpEndpoint{ipv6.sin6_addr, ntohs(ipv6.sin6_port)};
}

bool is_loopback(const in6_addr& address) {
    if (IN6_IS_ADDR_V4MAPPED(&address)) return address.s6_addr[12] == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&address);
}

}  // namespace

PeerState peer_state(int socket) {
    const auto here = endpoint(socket, &::getsockname);
    const auto peer = endpoint(socket, &::getpeername);
    if (!here || !peer || !is_loopback(peer->address)) return PeerState::unknown;
    const auto inode = connected_inode(*peer, *here);
    if (!inode) return PeerState::unknown;
    return *inode == 0 ? PeerState::gone : PeerState::open;
}

}  // namespace jamsock
