#include "daemon/backends/readiness.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/timeouts.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace jamsock {

namespace {

using asio::ip::tcp;

constexpr std::string_view http = "HTTP/";

Task<bool> ask(tcp::socket& socket, std::uint16_t port) {
    error_code failed;
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    co_await socket.async_connect(endpoint, catching(failed));
    if (failed) co_return false;
    const std::string request =
        fmt::format("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", port);
    co_await asio::async_write(socket, asio::buffer(request), catching(failed));
    if (failed) co_return false;
    std::array<char, http.size()> answer{};
    co_await asio::async_read(socket, asio::buffer(answer), catching(failed));
    co_return !failed && std::string_view(answer.data(), answer.size()) == http;
}

Task<PortOwner> ask_owner(std::uint16_t port, pid_t shim, HelperThread& helper) {
    return helper.run([port, shim] { return port_owner(port, shim); });
}

}  // namespace

Task<bool> answers_http(std::uint16_t port) {
    tcp::socket socket(co_await asio::this_coro::executor, tcp::v4());
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    co_return co_await with_deadline(socket, timeouts::probe_answer, ask(socket, port));
}

Task<bool> wait_until_ready(std::uint16_t port, pid_t shim, Deadline deadline, HelperThread& helper,
                            std::function<bool()> is_over) {
    std::chrono::nanoseconds pause = timeouts::first_probe_pause;
    while (!is_over() && std::chrono::steady_clock::now() < deadline) {
        if (co_await answers_http(port)) {
            const PortOwner owner = co_await ask_owner(port, shim, helper);
            if (owner == PortOwner::tree) co_return true;
        }
        co_await sleep_for(pause);
        pause = std::min<std::chrono::nanoseconds>(pause * 2, timeouts::last_probe_pause);
    }
    co_return false;
}

}  // namespace jamsock
