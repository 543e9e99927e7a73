#include "daemon/backends/port_owner.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tuple>
#include <utility>

#include "daemon/shim/process_table.h"
#include "daemon/tcp_sockets.h"

namespace jamsock {

namespace {

constexpr std::uint16_t every_port = 0;

struct ListeningSocket {
    Listener listener;
    KnownListener known;
    std::string link;                  // what /proc/<pid>/fd/<n> leads to: "socket:[<inode>]"
    bool takes_ipv4_loopback = false;  // 127.0.0.1:port leads to it
    bool takes_ipv6_loopback = false;  // [::1]:port does
};
using ListeningSockets = std::vector<ListeningSocket>;

// 127.0.0.1 itself, any address, the same written as IPv6, or the dual-stack any address.
bool takes_ipv4_loopback(const TcpListener& socket) {
    const in6_addr& address = socket.at.address;
    if (!IN6_IS_ADDR_V4MAPPED(&address))
        return IN6_IS_ADDR_UNSPECIFIED(&address) && !socket.is_ipv6_only;
    in_addr_t ipv4 = 0;
    ::memcpy(&ipv4, &address.s6_addr[12], sizeof ipv4);
    return ipv4 == htonl(INADDR_ANY) || ipv4 == htonl(INADDR_LOOPBACK);
}

bool takes_ipv6_loopback(const TcpListener& socket) {
    return IN6_IS_ADDR_LOOPBACK(&socket.at.address) || IN6_IS_ADDR_UNSPECIFIED(&socket.at.address);
}

std::string address_text(const TcpListener& socket) {
    const unsigned char* bytes = &socket.at.address.s6_addr[socket.is_ipv6 ? 0 : 12];
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(socket.is_ipv6 ? AF_INET6 : AF_INET, bytes, text.data(), text.size());
    return text.data();
}

ListeningSockets listening_sockets(std::uint16_t port) {
    ListeningSockets sockets;
    for (const TcpListener& socket : tcp_listeners(port)) {
        sockets.push_back({.listener = {address_text(socket), socket.at.port},
                           .known = {socket.user, socket.cookie},
                           .link = fmt::format("socket:[{}]", socket.inode),
                           .takes_ipv4_loopback = takes_ipv4_loopback(socket),
                           .takes_ipv6_loopback = takes_ipv6_loopback(socket)});
    }
    return sockets;
}

// Those of `sockets` that the process has open.
ListeningSockets open_sockets(pid_t pid, const ListeningSockets& sockets) {
    namespace fs = std::filesystem;
    ListeningSockets open;
    std::error_code gone;
    for (fs::directory_iterator at(process_directory(pid) + "/fd", gone), end; !gone && at != end;
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

// Those that connections to the port get to.
struct Reached {
    ListeningSockets sockets;
    bool is_ipv6 = false;
};

Reached reached_by(std::uint16_t port, ListeningSockets sockets) {
    std::erase_if(sockets, [port](const auto& socket) { return socket.listener.port != port; });
    const bool is_ipv4 = std::ranges::any_of(sockets, &ListeningSocket::takes_ipv4_loopback);
    std::erase_if(sockets, [is_ipv4](const ListeningSocket& socket) {
        return is_ipv4 ? !socket.takes_ipv4_loopback : !socket.takes_ipv6_loopback;
    });
    const bool is_ipv6 = !is_ipv4 && !sockets.empty();
    return {std::move(sockets), is_ipv6};
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

PortPlace port_place(std::uint16_t port, pid_t root) {
    const auto [sockets, is_ipv6] = reached_by(port, listening_sockets(port));
    if (sockets.empty()) return {};
    const KnownListener& listener = sockets.front().known;
    for (const pid_t child : children_of(root)) {
        if (has_one_of(child, sockets)) return {PortOwner::tree, is_ipv6, listener};
    }
    return {owner_of(sockets, descendants(all_processes(), root)), is_ipv6, listener};
}

PortReport report_on_port(std::uint16_t port, pid_t root) {
    const ListeningSockets sockets = listening_sockets(every_port);
    const ListeningSockets on_port = reached_by(port, sockets).sockets;
    const std::vector<Process> all = all_processes();
    const std::vector<Process> tree = descendants(all, root);
    PortReport report{.owner = owner_of(on_port, tree), .listeners = listeners_of(tree, sockets)};
    if (report.owner == PortOwner::stranger) report.stranger = owner_among(all, on_port);
    return report;
}

}  // namespace jamsock
