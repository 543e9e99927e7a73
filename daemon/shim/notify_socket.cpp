#include "daemon/shim/notify_socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace jamsock {

namespace {

constexpr std::size_t largest_message = 4096;
constexpr int most_at_once = 64;
constexpr std::string_view ready_line = "READY=1";

std::string random_name() {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
    std::string name = "@jamsock-notify-";
    for (const unsigned char byte : bytes) {
        name += digits[byte >> 4];
        name += digits[byte & 15];
    }
    return name;
}

bool says_ready(std::string_view message) {
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        if (line == ready_line) return true;
        message.remove_prefix(std::min(line.size() + 1, message.size()));
    }
    return false;
}

bool is_from_our_user(msghdr& header) {
    const cmsghdr* control = CMSG_FIRSTHDR(&header);
    if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS) {
        return false;
    }
    ucred sender{};
    ::memcpy(&sender, CMSG_DATA(control), sizeof sender);
    return sender.uid == ::getuid();
}

// The next message of our own user's, empty for another's; nothing if none is left. There is no
// room for descriptors, so that the kernel closes those that come along.
std::optional<std::string> receive(int socket) {
    std::array<char, largest_message> bytes;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    iovec part{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return std::nullopt;
    if (!is_from_our_user(header)) return "";
    return std::string(bytes.data(), static_cast<std::size_t>(length));
}

}  // namespace

bool NotifySocket::open() {
    name_ = random_name();
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (name_.empty() || !socket_ ||
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
        return false;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path + 1, sizeof address.sun_path - 1, 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    return ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0;
}

bool NotifySocket::take_ready() {
    bool ready = false;
    for (int messages = 0; messages < most_at_once; ++messages) {
        const auto message = receive(socket_.get());
        if (!message) break;
        ready = ready || says_ready(*message);
    }
    return ready;
}

}  // namespace jamsock
