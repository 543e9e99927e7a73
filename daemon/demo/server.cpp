#include "daemon/demo/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>

#include "common/unique_fd.h"

namespace jamsock::demo {

namespace {

constexpr timeval longest_pause{10, 0};  // for a client to send what it began, or to take more

thread_local int socket_of_this_thread = -1;

// A connected socket as cpp-httplib reads and writes one.
class SocketStream : public httplib::Stream {
  public:
    explicit SocketStream(int socket) : socket_(socket) {}

    bool is_readable() const override { return true; }
    bool is_writable() const override { return true; }

    ssize_t read(char* bytes, std::size_t size) override {
        if (begin_ == end_) {
            const ssize_t length = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
            if (length <= 0) return length;
            begin_ = 0;
            end_ = static_cast<std::size_t>(length);
        }
        const std::size_t length = std::min(size, end_ - begin_);
        std::memcpy(bytes, buffer_.data() + begin_, length);
        begin_ += length;
        return static_cast<ssize_t>(length);
    }

    ssize_t write(const char* bytes, std::size_t size) override {
        std::size_t written = 0;
        while (written < size) {
            const ssize_t length = ::send(socket_, bytes + written, size - written, MSG_NOSIGNAL);
            if (length <= 0) return -1;
            written += static_cast<std::size_t>(length);
        }
        return static_cast<ssize_t>(size);
    }

    void get_remote_ip_and_port(std::string& ip, int& port) const override {
        name(::getpeername, ip, port);
    }
    void get_local_ip_and_port(std::string& ip, int& port) const override {
        name(::getsockname, ip, port);
    }
    socket_t socket() const override { return socket_; }

  private:
    void name(auto get, std::string& ip, int& port) const {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        if (get(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
        std::array<char, INET_ADDRSTRLEN> text{};
        ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
        ip = text.data();
        port = ntohs(address.sin_port);
    }

    int socket_;
    std::array<char, 16384> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

void prepare(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &longest_pause, sizeof longest_pause);
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &longest_pause, sizeof longest_pause);
}

}  // namespace

Server::Server(std::size_t threads) {
    new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
    set_socket_options([this](socket_t socket) {
        const int on = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        listener_ = socket;
    });
}

bool Server::serve(int port) {
    if (!bind_to_port("127.0.0.1", port)) return false;
    ::listen(listener_, SOMAXCONN);  // once more: the library's own queue is 5 long
    return listen_after_bind();
}

int Server::client_socket() {
    return socket_of_this_thread;
}

bool Server::process_and_close_socket(socket_t socket) {
    const UniqueFd owner(socket);
    prepare(socket);
    socket_of_this_thread = socket;
    SocketStream stream(socket);
    bool is_closed = false;
    try {
        process_request(stream, true, is_closed, nullptr);
    } catch (const std::exception& failed) {
        fmt::print(stderr, "jamsock-demo: a request failed: {}\n", failed.what());
    }
    ::shutdown(socket, SHUT_RDWR);
    return true;
}

}  // namespace jamsock::demo
