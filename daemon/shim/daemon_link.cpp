#include "daemon/shim/daemon_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace jamsock {

namespace {

constexpr const char* socket_name = "shim.sock";
constexpr int backlog = 8;
constexpr std::size_t largest_message = 4096;

bool is_our_user(int connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == ::geteuid();
}

}  // namespace

// Through the directory's descriptor, since a socket's address has room for a short path only.
bool DaemonLink::listen(int backend_directory) {
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", backend_directory,
               socket_name);
    if (!listener_ ||
        ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        return false;
    }
    directory_ = backend_directory;
    return ::fchmodat(backend_directory, socket_name, 0600, 0) == 0 &&
           ::listen(listener_.get(), backlog) == 0;
}

void DaemonLink::stop_listening() {
    if (directory_ >= 0) ::unlinkat(directory_, socket_name, 0);
    directory_ = -1;
    listener_.reset();
}

DaemonLink::Accepted DaemonLink::accept() {
    UniqueFd newest(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!newest) {
        const bool passing = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        return passing ? Accepted::none : Accepted::failed;
    }
    if (!is_our_user(newest.get())) return Accepted::none;
    connection_ = std::move(newest);
    return Accepted::connected;
}

std::optional<Message> DaemonLink::receive() {
    if (!connection_) return std::nullopt;
    char bytes[largest_message];
    // With MSG_TRUNC the length is the message's own, so that a cut one is noticed.
    const ssize_t length = ::recv(connection_.get(), bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    if (length <= 0) connection_.reset();
    if (length <= 0 || static_cast<std::size_t>(length) > sizeof bytes) return std::nullopt;
    return Message::decode(std::string_view(bytes, static_cast<std::size_t>(length)));
}

void DaemonLink::send(const Message& message) {
    if (!connection_) return;
    const std::string& bytes = message.encode();
    ::send(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace jamsock
