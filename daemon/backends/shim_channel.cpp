#include "daemon/backends/shim_channel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>

#include "common/runtime_paths.h"

namespace jamsock {

namespace {

constexpr std::size_t largest_message = 4096;

}  // namespace

ShimChannel::ShimChannel(const asio::any_io_executor& executor, UniqueFd connected)
    : socket_(executor) {
    socket_.assign(asio::generic::seq_packet_protocol(AF_UNIX, 0), connected.release());
    socket_.non_blocking(true);
}

// A stopped shim's backlog may be full, or we may be out of descriptors: neither means it is gone.
ShimChannel::Reached ShimChannel::connect(const asio::any_io_executor& executor,
                                          int backend_directory) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_in(backend_directory, "shim.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    if (!fd) return {};
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        return {.is_gone = errno == ENOENT || errno == ECONNREFUSED};
    }
    return {.channel = ShimChannel(executor, std::move(fd))};
}

pid_t ShimChannel::peer() const {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    auto& socket = const_cast<asio::generic::seq_packet_protocol::socket&>(socket_);
    ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    return credentials.pid;
}

Task<std::optional<Message>> ShimChannel::receive() {
    std::array<char, largest_message> bytes;
    asio::socket_base::message_flags flags = 0;
    error_code failed;
    const std::size_t length =
        co_await socket_.async_receive(asio::buffer(bytes), flags, catching(failed));
    if (failed || length == 0) co_return std::nullopt;
    co_return Message::decode(std::string_view(bytes.data(), length));
}

Task<std::optional<Message>> ShimChannel::receive(std::chrono::nanoseconds limit) {
    return with_deadline(socket_, limit, receive());
}

bool ShimChannel::send(const Message& message) {
    const std::string& bytes = message.encode();
    return ::send(socket_.native_handle(), bytes.data(), bytes.size(),
                  MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

void ShimChannel::close() {
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace jamsock
