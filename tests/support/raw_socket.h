// A blocking TCP or Unix socket that says and sees exactly the bytes of a test. Every wait ends at
// a deadline, with what has come until then.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/unique_fd.h"
#include "daemon/loopback_address.h"
#include "tests/support/sanitized.h"

namespace jamsock {

inline constexpr std::chrono::seconds raw_deadline{10 * test::slowness};

inline bool has_ipv6_loopback() {
    const UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const LoopbackAddress any_port(AF_INET6, 0);
    return socket && ::bind(socket.get(), any_port.get(), any_port.size()) == 0;
}

class RawSocket {
  public:
    explicit RawSocket(UniqueFd fd) : fd_(std::move(fd)) {}

    static RawSocket connect(std::uint16_t port, int family = AF_INET) {
        RawSocket socket(UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        const LoopbackAddress name(family, port);
        if (::connect(socket.fd_.get(), name.get(), name.size()) != 0) {
            throw std::runtime_error("a test can't connect");
        }
        return socket;
    }

    static RawSocket connect(const std::string& path) {
        RawSocket socket(UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::connect(socket.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) !=
            0) {
            throw std::runtime_error("a test can't connect");
        }
        return socket;
    }

    // False: the other side takes no more.
    bool send(std::string_view text) {
        while (!text.empty()) {
            if (!wait_for(POLLOUT)) return false;
            const auto sent =
                ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0) return false;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    // What can be sent without a wait: until the buffers on the way are full for `patience`.
    std::size_t send_until_stuck(std::string_view text, std::size_t limit,
                                 std::chrono::milliseconds patience) {
        std::size_t total = 0;
        while (total < limit && wait_for(POLLOUT, patience)) {
            const auto sent =
                ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0) break;
            total += static_cast<std::size_t>(sent);
        }
        return total;
    }

    // Everything up to and with `end`; all that came if it did not come.
    std::string read_until(std::string_view end) {
        std::size_t found = 0;
        while ((found = input_.find(end)) == std::string::npos && receive()) {
        }
        return take(found == std::string::npos ? input_.size() : found + end.size());
    }

    std::string read_exactly(std::size_t size) {
        while (input_.size() < size && receive()) {
        }
        return take(std::min(size, input_.size()));
    }

    // What comes next, as much of it as there is; empty at the end.
    std::string read_some() {
        if (input_.empty()) receive();
        return take(input_.size());
    }

    std::string read_to_end() {
        while (receive()) {
        }
        return take(input_.size());
    }

    // A whole response with a Content-Length (or, with `is_bodiless`, none): head and body.
    std::string read_response(bool is_bodiless = false) {
        std::string response = read_until("\r\n\r\n");
        const auto at = response.find("Content-Length: ");
        if (is_bodiless || at == std::string::npos) return response;
        return response + read_exactly(std::stoul(response.substr(at + 16)));
    }

    // Nothing has come, and does not for as long as `patience`.
    bool is_silent(std::chrono::milliseconds patience = std::chrono::milliseconds(50)) {
        return input_.empty() && !wait_for(POLLIN, patience);
    }

    // The other side has closed, after nothing more.
    bool is_at_end() { return read_to_end().empty() && error_ == 0 && is_closed_; }
    // The connection was reset.
    bool is_broken() const { return error_ == ECONNRESET; }

    void shutdown_sending() { ::shutdown(fd_.get(), SHUT_WR); }
    void close() { fd_.reset(); }
    int fd() const { return fd_.get(); }

  private:
    bool wait_for(short event, std::chrono::milliseconds patience = raw_deadline) {
        pollfd waiting{.fd = fd_.get(), .events = event, .revents = 0};
        return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
    }

    bool receive() {
        std::array<char, 65536> bytes;
        if (is_closed_ || !wait_for(POLLIN)) return false;
        const auto size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
        is_closed_ = size <= 0;
        if (size < 0) error_ = errno;
        if (size > 0) input_.append(bytes.data(), static_cast<std::size_t>(size));
        return size > 0;
    }

    std::string take(std::size_t size) {
        const std::string text = input_.substr(0, size);
        input_.erase(0, size);
        return text;
    }

    UniqueFd fd_;
    std::string input_;
    bool is_closed_ = false;
    int error_ = 0;
};

// A listening socket on the loopback: on this port or a free one.
class RawListener {
  public:
    explicit RawListener(int family = AF_INET, std::uint16_t port = 0)
        : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const LoopbackAddress name(family, port);
        sockaddr_in6 got{};
        socklen_t size = sizeof got;
        if (::bind(fd_.get(), name.get(), name.size()) != 0 ||
            ::listen(fd_.get(), SOMAXCONN) != 0 ||
            ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&got), &size) != 0) {
            throw std::runtime_error("a test can't listen");
        }
        port_ = ntohs(got.sin6_port);  // the same place in both
    }

    std::uint16_t port() const { return port_; }
    UniqueFd take() { return std::move(fd_); }

    bool has_client(std::chrono::milliseconds patience = raw_deadline) const {
        pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
    }

    RawSocket accept() const {
        if (!has_client()) throw std::runtime_error("nobody connects to a test's listener");
        return RawSocket(UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    }

  private:
    UniqueFd fd_;
    std::uint16_t port_ = 0;
};

}  // namespace jamsock
