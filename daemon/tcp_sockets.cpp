#include "daemon/tcp_sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include <array>

#include "common/unique_fd.h"

namespace jamsock {

namespace {

constexpr std::uint8_t listening = 10;  // TCP_LISTEN of the kernel's states
constexpr std::size_t largest_answer = 32768;

struct Request {
    nlmsghdr header{};
    inet_diag_req_v2 query{};
};

Request request_for(int family) {
    Request request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.query.sdiag_family = static_cast<std::uint8_t>(family);
    request.query.sdiag_protocol = IPPROTO_TCP;
    return request;
}

// Empty if it can't be asked.
UniqueFd asked(const Request& request) {
    UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    const auto size = static_cast<ssize_t>(sizeof request);
    if (!netlink || ::send(netlink.get(), &request, sizeof request, 0) != size) return {};
    return netlink;
}

// An attribute behind the message.
bool is_ipv6_only(const nlmsghdr& header, const inet_diag_msg& socket) {
    auto left = static_cast<unsigned>(header.nlmsg_len - NLMSG_LENGTH(sizeof socket));
    for (auto* attribute = reinterpret_cast<const rtattr*>(&socket + 1); RTA_OK(attribute, left);
         attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type == INET_DIAG_SKV6ONLY) {
            return *static_cast<const std::uint8_t*>(RTA_DATA(attribute)) != 0;
        }
    }
    return false;
}

constexpr std::size_t ipv4_at = 12;  // in an IPv6 address that it is written as

TcpListener described(const nlmsghdr& header, const inet_diag_msg& socket) {
    TcpListener listener{.is_ipv6 = socket.idiag_family == AF_INET6,
                         .is_ipv6_only = is_ipv6_only(header, socket),
                         .inode = socket.idiag_inode};
    const std::uint16_t port = ntohs(socket.id.idiag_sport);
    if (listener.is_ipv6) {
        listener.at.port = port;
        ::memcpy(&listener.at.address, socket.id.idiag_src, sizeof listener.at.address);
    } else {
        listener.at = TcpEndpoint::ipv4({socket.id.idiag_src[0]}, port);
    }
    return listener;
}

// Appends the sockets in one datagram of the answer; false after the last.
bool read_answer(const char* bytes, std::size_t length, std::vector<TcpListener>& listeners) {
    auto left = static_cast<unsigned>(length);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(bytes); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return false;
        listeners.push_back(
            described(*header, *static_cast<const inet_diag_msg*>(NLMSG_DATA(header))));
    }
    return true;
}

void put(const in6_addr& address, __be32 (&into)[4]) {
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        ::memcpy(into, &address.s6_addr[ipv4_at], sizeof(in_addr));
    } else {
        ::memcpy(into, &address, sizeof address);
    }
}

// For the one socket, which the kernel looks up as it does for a packet.
Request request_for(const TcpEndpoint& local, const TcpEndpoint& remote) {
    Request request = request_for(IN6_IS_ADDR_V4MAPPED(&local.address) ? AF_INET : AF_INET6);
    inet_diag_sockid& id = request.query.id;
    put(local.address, id.idiag_src);
    put(remote.address, id.idiag_dst);
    id.idiag_sport = htons(local.port);
    id.idiag_dport = htons(remote.port);
    id.idiag_cookie[0] = id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return request;
}

struct Found {
    bool exists = false;
    std::uint32_t inode = 0;
};

// Nothing if the question isn't understood. Where no socket is connected, the kernel looks for a
// listening one.
std::optional<Found> find(const TcpEndpoint& local, const TcpEndpoint& remote) {
    const UniqueFd netlink = asked(request_for(local, remote));
    if (!netlink) return std::nullopt;
    alignas(nlmsghdr) std::array<char, 1024> answer;
    const ssize_t length = ::recv(netlink.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    const auto& header = *reinterpret_cast<const nlmsghdr*>(answer.data());
    if (length < 0 || !NLMSG_OK(&header, static_cast<unsigned>(length))) return std::nullopt;
    if (header.nlmsg_type == NLMSG_ERROR) {
        const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(&header))->error;
        return error == -ENOENT ? std::optional(Found{}) : std::nullopt;
    }
    const auto& socket = *static_cast<const inet_diag_msg*>(NLMSG_DATA(&header));
    if (socket.idiag_state == listening) return Found{};
    return Found{true, socket.idiag_inode};
}

}  // namespace

TcpEndpoint TcpEndpoint::ipv4(in_addr address, std::uint16_t port) {
    TcpEndpoint endpoint{.port = port};
    endpoint.address.s6_addr[10] = endpoint.address.s6_addr[11] = 0xff;
    ::memcpy(&endpoint.address.s6_addr[ipv4_at], &address, sizeof address);
    return endpoint;
}

std::vector<TcpListener> tcp_listeners(std::uint16_t port) {
    std::vector<TcpListener> listeners;
    for (const int family : {AF_INET, AF_INET6}) {
        Request request = request_for(family);
        request.header.nlmsg_flags |= NLM_F_DUMP;
        request.query.idiag_states = 1u << listening;
        request.query.id.idiag_sport = htons(port);
        const UniqueFd netlink = asked(request);
        if (!netlink) continue;
        alignas(nlmsghdr) std::array<char, largest_answer> answer;
        ssize_t length = 0;
        do {
            length = ::recv(netlink.get(), answer.data(), answer.size(), 0);
        } while (length > 0 &&
                 read_answer(answer.data(), static_cast<std::size_t>(length), listeners));
    }
    std::erase_if(listeners, [port](const TcpListener& listener) {
        return port != 0 && listener.at.port != port;
    });
    return listeners;
}

std::uint16_t bound_port(int socket) {
    sockaddr_in6 address{};  // whose port has the same place as in IPv4's
    socklen_t size = sizeof address;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin6_port);
}

// A kernel that knows nothing of TCP (no module tcp_diag) says the same as of a socket that is
// gone; so the connection's other end is asked for, too.
std::optional<std::uint32_t> connected_inode(const TcpEndpoint& local, const TcpEndpoint& remote) {
    const auto found = find(local, remote);
    if (!found) return std::nullopt;
    if (found->exists) return found->inode;
    const auto other_end = find(remote, local);
    if (!other_end || !other_end->exists) return std::nullopt;
    return 0;
}

}  // namespace jamsock
