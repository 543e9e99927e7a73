#include "daemon/proxy/peer.h"

#include <netinet/in.h>

#include "daemon/tcp_sockets.h"

namespace jamsock {

namespace {

bool is_loopback(const in6_addr& address) {
    if (IN6_IS_ADDR_V4MAPPED(&address)) return address.s6_addr[12] == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&address);
}

}  // namespace

PeerState peer_state(int socket) {
    const auto ends = ends_of(socket);
    if (!ends || !is_loopback(ends->peer.address)) return PeerState::unknown;
    const auto inode = connected_inode(ends->peer, ends->here);
    if (!inode) return PeerState::unknown;
    return *inode == 0 ? PeerState::gone : PeerState::open;
}

std::optional<uid_t> peer_user(TcpInquiry& inquiry, int socket) {
    const auto ends = ends_of(socket);
    if (!ends || !is_loopback(ends->peer.address)) return std::nullopt;
    const auto peer = inquiry.connected(ends->peer, ends->here).socket;
    if (!peer || peer->inode == 0) return std::nullopt;
    return peer->user;
}

}  // namespace jamsock
