#include "daemon/backends/port_owner.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "common/unique_fd.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

namespace {

constexpr std::uint32_t state_listen = 1u << 10;  // TCP_LISTEN in the kernel's mask of states

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

// 127.0.0.1 itself, any address, or the dual-stack any address.
bool takes_loopback(const inet_diag_msg& socket) {
    const auto* address = reinterpret_cast<const unsigned char*>(socket.id.idiag_src);
    constexpr std::array<unsigned char, 16> any{};
    if (socket.idiag_family == AF_INET6) return std::equal(any.begin(), any.end(), address);
    return std::equal(any.begin(), any.begin() + 4, address) ||
           ntohl(socket.id.idiag_src[0]) == INADDR_LOOPBACK;
}

// Appends the inodes in one datagram of the answer; false after the last.
bool read_answer(const char* bytes, std::size_t length, std::uint16_t port,
                 std::vector<std::uint32_t>& inodes) {
    auto left = static_cast<unsigned>(length);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(bytes); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return false;
        const auto* socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
        if (ntohs(socket->id.idiag_sport) == port && takes_loopback(*socket)) {
            inodes.push_back(socket->idiag_inode);
        }
    }
    return true;
}

std::vector<std::uint32_t> listening_inodes(std::uint16_t port) {
    std::vector<std::uint32_t> inodes;
    for (const int family : {AF_INET, AF_INET6}) {
        const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
        if (!netlink || !send_query(netlink.get(), family, port)) continue;
        alignas(nlmsghdr) std::array<char, 8192> answer;
        ssize_t length = 0;
        do {
            length = ::recv(netlink.get(), answer.data(), answer.size(), 0);
        } while (length > 0 &&
                 read_answer(answer.data(), static_cast<std::size_t>(length), port, inodes));
    }
    return inodes;
}

bool has_socket(pid_t pid, const std::vector<std::string>& sockets) {
    namespace fs = std::filesystem;
    std::error_code gone;
    for (fs::directory_iterator at(fmt::format("/proc/{}/fd", pid), gone), end; !gone && at != end;
         at.increment(gone)) {
        std::error_code closed;
        const std::string target = fs::read_symlink(at->path(), closed).string();
        if (std::ranges::find(sockets, target) != sockets.end()) return true;
    }
    return false;
}

}  // namespace

PortOwner port_owner(std::uint16_t port, pid_t root) {
    std::vector<std::string> sockets;
    for (const std::uint32_t inode : listening_inodes(port)) {
        sockets.push_back(fmt::format("socket:[{}]", inode));
    }
    if (sockets.empty()) return PortOwner::nobody;
    const auto tree = descendants(all_processes(), root);
    const bool ours = std::ranges::any_of(
        tree, [&](const Process& member) { return has_socket(member.pid, sockets); });
    return ours ? PortOwner::tree : PortOwner::stranger;
}

}  // namespace jamsock
