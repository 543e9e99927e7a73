#include "daemon/tcp_sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include <array>

#include "daemon/loopback_address.h"

namespace jamsock {

namespace {

constexpr std::uint8_t listening = 10;        // TCP_LISTEN of the kernel's states
constexpr std::uint32_t loopback_device = 1;  // of every network namespace
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

std::uint64_t cookie_of(const inet_diag_msg& socket) {
    return std::uint64_t{socket.id.idiag_cookie[1]} << 32 | socket.id.idiag_cookie[0];
}

TcpListener described(const nlmsghdr& header, const inet_diag_msg& socket) {
    TcpListener listener{.is_ipv6 = socket.idiag_family == AF_INET6,
                         .is_ipv6_only = is_ipv6_only(header, socket),
                         .inode = socket.idiag_inode,
                         .user = socket.idiag_uid,
                         .cookie = cookie_of(socket)};
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

// For one socket, which the kernel looks up as it does for a packet.
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

// The answer to the question of that number. The kernel has given it when the question is sent.
TcpInquiry::Answer answer_to(int netlink, std::uint32_t number, bool is_listener) {
    alignas(nlmsghdr) std::array<char, 1024> answer;
    for (;;) {
        const ssize_t length = ::recv(netlink, answer.data(), answer.size(), MSG_DONTWAIT);
        const auto& header = *reinterpret_cast<const nlmsghdr*>(answer.data());
        if (length < 0 || !NLMSG_OK(&header, static_cast<unsigned>(length))) return {};
        if (header.nlmsg_seq != number) continue;
        if (header.nlmsg_type == NLMSG_ERROR) {
            const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(&header))->error;
            return {.is_known = error == -ENOENT};
        }
        const auto& socket = *static_cast<const inet_diag_msg*>(NLMSG_DATA(&header));
        if ((socket.idiag_state == listening) != is_listener) return {.is_known = true};
        return {true, TcpSocket{socket.idiag_inode, socket.idiag_uid, cookie_of(socket)}};
    }
}

}  // namespace

TcpEndpoint TcpEndpoint::ipv4(in_addr address, std::uint16_t port) {
    TcpEndpoint endpoint{.port = port};
    endpoint.address.s6_addr[10] = endpoint.address.s6_addr[11] = 0xff;
    ::memcpy(&endpoint.address.s6_addr[ipv4_at], &address, sizeof address);
    return endpoint;
}

TcpEndpoint TcpEndpoint::loopback(int family, std::uint16_t port) {
    if (family == AF_INET) return ipv4({htonl(INADDR_LOOPBACK)}, port);
    return {in6addr_loopback, port};
}

std::optional<TcpEnds> ends_of(int socket) {
    const auto here = endpoint(socket, &::getsockname);
    const auto peer = endpoint(socket, &::getpeername);
    if (!here || !peer) return std::nullopt;
    return TcpEnds{*here, *peer};
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

TcpInquiry::TcpInquiry()
    : netlink_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {
}

// Where no socket is connected, the kernel looks for a listening one.
TcpInquiry::Answer TcpInquiry::connected(const TcpEndpoint& local, const TcpEndpoint& remote) {
    Request request = request_for(local, remote);
    request.header.nlmsg_seq = ++asked_;
    if (::send(netlink_.get(), &request, sizeof request, 0) < 0) return {};
    return answer_to(netlink_.get(), asked_, /*is_listener=*/false);
}

// A socket that is bound to the loopback's device takes its connections, too.
TcpInquiry::Answer TcpInquiry::listener(const TcpEndpoint& place) {
    Request request = request_for(place, {});
    request.query.id.idiag_if = loopback_device;
    request.header.nlmsg_seq = ++asked_;
    if (::send(netlink_.get(), &request, sizeof request, 0) < 0) return {};
    return answer_to(netlink_.get(), asked_, /*is_listener=*/true);
}

// A kernel that knows nothing of TCP (no module tcp_diag) says the same as of a socket that is
// gone; so the connection's other end is asked for, too.
std::optional<std::uint32_t> connected_inode(const TcpEndpoint& local, const TcpEndpoint& remote) {
    TcpInquiry inquiry;
    const auto found = inquiry.connected(local, remote);
    if (!found.is_known) return std::nullopt;
    if (found.socket) return found.socket->inode;
    const auto other_end = inquiry.connected(remote, local);
    if (!other_end.socket) return std::nullopt;
    return 0;
}

}  // namespace jamsock
