// What the kernel tells of the TCP sockets of this network namespace, whoever's they are
// (sock_diag(7)). Any thread; waits for nothing but the kernel.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock {

// An IPv4 address is written as IPv6 (::ffff:127.0.0.1), whatever its socket's family.
struct TcpEndpoint {
    in6_addr address{};
    std::uint16_t port = 0;

    static TcpEndpoint ipv4(in_addr address, std::uint16_t port);
    // `family`: AF_INET for 127.0.0.1, AF_INET6 for [::1].
    static TcpEndpoint loopback(int family, std::uint16_t port);
};

// The two ends of a connected socket of this process.
struct TcpEnds {
    TcpEndpoint here;
    TcpEndpoint peer;
};
// Nothing if it isn't connected, or isn't TCP.
std::optional<TcpEnds> ends_of(int socket);

struct TcpListener {
    TcpEndpoint at;
    bool is_ipv6 = false;       // its socket's family
    bool is_ipv6_only = false;  // … and that refuses IPv4 (IPV6_V6ONLY)
    std::uint32_t inode = 0;    // as in /proc/<pid>/fd: "socket:[<inode>]"
    uid_t user = 0;             // whose it is
    std::uint64_t cookie = 0;   // no other socket has or had it since the machine started
};

// Every socket that listens on `port`, whatever its address; 0: on any. Empty if it can't be told.
std::vector<TcpListener> tcp_listeners(std::uint16_t port);

// The port that a socket of either family is bound to; 0: none.
std::uint16_t bound_port(int socket);

// A socket that was asked for by name.
struct TcpSocket {
    // 0: no process has it open. It was closed, or waits to be accepted: until then kernels before
    // Linux 6.17 say that it is root's.
    std::uint32_t inode = 0;
    uid_t user = 0;  // who made it or accepted it
    std::uint64_t cookie = 0;
};

// Asks for single sockets, which costs some microseconds. For one thread at a time.
class TcpInquiry {
  public:
    TcpInquiry();

    struct Answer {
        bool is_known = false;  // else it can't be told here
        std::optional<TcpSocket> socket = {};
    };
    // The one between these.
    Answer connected(const TcpEndpoint& local, const TcpEndpoint& remote);
    // The one that takes connections from this machine to that place.
    Answer listener(const TcpEndpoint& place);

  private:
    UniqueFd netlink_;
    std::uint32_t asked_ = 0;
};

// The inode of the connected socket between these; 0 if no process has it open any more, or there
// is none. Nothing: that can't be told here.
std::optional<std::uint32_t> connected_inode(const TcpEndpoint& local, const TcpEndpoint& remote);

}  // namespace jamsock
