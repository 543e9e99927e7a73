#include "daemon/backends/port_owner.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tuple>

#include "common/unique_fd.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

namespace {

constexpr std::uint32_t state_listen = 1u << 10;  // TCP_LISTEN in the kernel's mask of states
constexpr std::uint16_t every_port = 0;

struct ListeningSocket {
    Listener listener;
    std::string link;  // what /proc/<pid>/fd/<n> leads to: "socket:[<inode>]"
};
using ListeningSockets = std::vector<ListeningSocket>;

bool send_query(int netlink, int family, std::uint16_t port) {
    struct {
        nlmsghdr header;
        inet_diag_req_v2 query;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.query.sdiag_family = static_cast<std::uint8_t>(family);
    request.query.sdiag_protocol = IPPROTO_TCP;
    request.query.idiag_states = state_listen;
    request.query.id.idiag_sport = htons(port);
    return ::send(netlink, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

// Whether a socket on an IPv6 address refuses IPv4 (IPV6_V6ONLY): an attribute behind the message.
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

// 127.0.0.1 itself, any address, the same written as IPv6, or the dual-stack any address.
bool takes_loopback(const nlmsghdr& header, const inet_diag_msg& socket) {
    const auto* address = reinterpret_cast<const unsigned char*>(socket.id.idiag_src);
    const auto is_ipv4 = [](const unsigned char* bytes) {
        in_addr_t number = 0;
        ::memcpy(&number, bytes, sizeof number);
        return number == htonl(INADDR_ANY) || number == htonl(INADDR_LOOPBACK);
    };
    if (socket.idiag_family == AF_INET) return is_ipv4(address);
    in6_addr ipv6{};
    ::memcpy(&ipv6, address, sizeof ipv6);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6)) return is_ipv4(address + 12);
    return IN6_IS_ADDR_UNSPECIFIED(&ipv6) && !is_ipv6_only(header, socket);
}

ListeningSocket described(const nlmsghdr& header, const inet_diag_msg& socket) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(socket.idiag_family, socket.id.idiag_src, text.data(), text.size());
    return {{text.data(), ntohs(socket.id.idiag_sport), takes_loopback(header, socket)},
            fmt::format("socket:[{}]", socket.idiag_inode)};
}

// Appends the sockets in one datagram of the answer; false after the last.
bool read_answer(const char* bytes, std::size_t length, ListeningSockets& sockets) {
    auto left = static_cast<unsigned>(length);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(bytes); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return false;
        sockets.push_back(
            described(*header, *static_cast<const inet_diag_msg*>(NLMSG_DATA(header))));
    }
    return true;
}

// Every socket that listens on `port`, whatever its address.
ListeningSockets listening_sockets(std::uint16_t port) {
    ListeningSockets sockets;
    for (const int family : {AF_INET, AF_INET6}) {
        const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
        if (!netlink || !send_query(netlink.get(), family, port)) continue;
        alignas(nlmsghdr) std::array<char, 32768> answer;
        ssize_t length = 0;
        do {
            length = ::recv(netlink.get(), answer.data(), answer.size(), 0);
        } while (length > 0 &&
                 read_answer(answer.data(), static_cast<std::size_t>(length), sockets));
    }
    std::erase_if(sockets, [port](const ListeningSocket& socket) {
        return port != every_port && socket.listener.port != port;
    });
    return sockets;
}

// Those of `sockets` that the process has open.
ListeningSockets open_sockets(pid_t pid, const ListeningSockets& sockets) {
    namespace fs = std::filesystem;
    ListeningSockets open;
    std::error_code gone;
    for (fs::directory_iterator at(fmt::format("/proc/{}/fd", pid), gone), end; !gone && at != end;
         at.increment(gone)) {
        std::error_code closed;
        const std::string target = fs::read_symlink(at->path(), closed).string();
        const auto found = std::ranges::find(sockets, target, &ListeningSocket::link);
        if (found != sockets.end()) open.push_back(*found);
    }
    return open;
}

bool has_one_of(pid_t pid, const ListeningSockets& sockets) {
    return !open_sockets(pid, sockets).empty();
}

ListeningSockets where_loopback_leads(ListeningSockets sockets, std::uint16_t port) {
    std::erase_if(sockets, [port](const ListeningSocket& socket) {
        return socket.listener.port != port || !socket.listener.takes_loopback;
    });
    return sockets;
}

PortOwner owner_of(const ListeningSockets& sockets, const std::vector<Process>& tree) {
    if (sockets.empty()) return PortOwner::nobody;
    const bool ours = std::ranges::any_of(
        tree, [&](const Process& member) { return has_one_of(member.pid, sockets); });
    return ours ? PortOwner::tree : PortOwner::stranger;
}

// By the kernel's own list (proc(5), children), which spares a look at all of /proc; empty where it
// keeps none.
std::vector<pid_t> children_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{0}/task/{0}/children", pid));
    return {std::istream_iterator<pid_t>(file), {}};
}

std::optional<NamedProcess> owner_among(const std::vector<Process>& all,
                                        const ListeningSockets& sockets) {
    const auto owner = std::ranges::find_if(
        all, [&](const Process& process) { return has_one_of(process.pid, sockets); });
    if (owner == all.end()) return std::nullopt;
    return NamedProcess::of(owner->pid);
}

std::vector<Listener> listeners_of(const std::vector<Process>& tree,
                                   const ListeningSockets& sockets) {
    std::vector<Listener> listeners;
    for (const Process& member : tree) {
        for (const ListeningSocket& socket : open_sockets(member.pid, sockets))
            listeners.push_back(socket.listener);
    }
    std::ranges::sort(listeners, {}, [](const Listener& listener) {
        return std::tie(listener.port, listener.address);
    });
    listeners.erase(std::ranges::unique(listeners).begin(), listeners.end());
    return listeners;
}

}  // namespace

PortOwner port_owner(std::uint16_t port, pid_t root) {
    const ListeningSockets sockets = where_loopback_leads(listening_sockets(port), port);
    if (sockets.empty()) return PortOwner::nobody;
    const bool is_a_childs = std::ranges::any_of(
        children_of(root), [&](pid_t child) { return has_one_of(child, sockets); });
    if (is_a_childs) return PortOwner::tree;
    return owner_of(sockets, descendants(all_processes(), root));
}

PortReport report_on_port(std::uint16_t port, pid_t root) {
    const ListeningSockets sockets = listening_sockets(every_port);
    const ListeningSockets on_port = where_loopback_leads(sockets, port);
    const std::vector<Process> all = all_processes();
    const std::vector<Process> tree = descendants(all, root);
    PortReport report{.owner = owner_of(on_port, tree), .listeners = listeners_of(tree, sockets)};
    if (report.owner == PortOwner::stranger) report.stranger = owner_among(all, on_port);
    return report;
}

}  // namespace jamsock
