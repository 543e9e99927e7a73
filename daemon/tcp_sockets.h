// What the kernel tells of the TCP sockets of this network namespace, whoever's they are
// (sock_diag(7)). Any thread; waits for nothing but the kernel.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace jamsock {

// An IPv4 address is written as IPv6 (::ffff:127.0.0.1), whatever its socket's family.
struct TcpEndpoint {
    in6_addr address{};
    std::uint16_t port = 0;

    static TcpEndpoint ipv4(in_addr address, std::uint16_t port);
};

struct TcpListener {
    TcpEndpoint at;
    bool is_ipv6 = false;       // its socket's family
    bool is_ipv6_only = false;  // … and that refuses IPv4 (IPV6_V6ONLY)
    std::uint32_t inode = 0;    // as in /proc/<pid>/fd: "socket:[<inode>]"
};

// Every socket that listens on `port`, whatever its address; 0: on any. Empty if it can't be told.
std::vector<TcpListener> tcp_listeners(std::uint16_t port);

// The port that a socket of either family is bound to; 0: none.
std::uint16_t bound_port(int socket);

// The inode of the connected socket between these; 0 if no process has it open any more, or there
// is none. Nothing: that can't be told here.
std::optional<std::uint32_t> connected_inode(const TcpEndpoint& local, const TcpEndpoint& remote);

}  // namespace jamsock
