#include "daemon/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_suffix.hpp>
#include <cerrno>
#include <utility>

#include "common/timeouts.h"

namespace jamsock {

namespace {

int family_of(int socket) {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family;
}

// An event must not wait for the acknowledgement of the one before it.
void send_at_once(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// An empty line before a request line is an old client's slip, to be skipped (RFC 9112, 2.2).
void skip_empty_lines(InputBuffer& input) {
    while (input.text().starts_with("\r\n"))
        input.consume(2);
}

}  // namespace

void InputBuffer::add(std::string_view bytes) {
    bytes.copy(static_cast<char*>(buffer_.prepare(bytes.size()).data()), bytes.size());
    buffer_.commit(bytes.size());
}

Connection::Connection(StreamSocket socket)
    : socket_(std::move(socket)), timer_(socket_.get_executor()) {
}

void Connection::set_deadline(Deadline deadline) {
    deadline_ = deadline;
    // A later deadline waits for the timer that is set: usually none has to be set per request.
    if (deadline_ < armed_until_) arm();
}

void Connection::arm() {
    armed_until_ = deadline_;
    timer_.expires_at(deadline_);
    timer_.async_wait([weak = weak_from_this()](error_code cancelled) {
        if (cancelled) return;
        if (const auto connection = weak.lock()) connection->on_timer();
    });
}

void Connection::on_timer() {
    armed_until_ = never;
    if (std::chrono::steady_clock::now() >= deadline_) {
        close();
    } else if (deadline_ != never) {
        arm();
    }
}

Task<std::optional<tl::expected<RequestHead, HeadFault>>> Connection::read_head() {
    const bool is_first = !std::exchange(had_head_, true);
    set_deadline(after(is_first ? timeouts::slow_head : timeouts::keep_alive));
    std::size_t seen = 0;
    bool has_begun = is_first;
    while (true) {
        if (seen == 0) skip_empty_lines(input_);
        const std::string_view text = input_.text();
        if (const auto size = head_size(text, seen)) {
            set_deadline(never);
            co_return parse_request_head(text.substr(0, *size));
        }
        if (text.size() > longest_head) {
            set_deadline(never);
            co_return tl::unexpected(HeadFault{431, "The head is too long."});
        }
        seen = text.size() > 1 ? text.size() : 0;
        if (!has_begun && !text.empty()) {
            has_begun = true;
            set_deadline(after(timeouts::slow_head));
        }
        if (!co_await read_more()) co_return std::nullopt;
    }
}

Task<bool> Connection::read_more() {
    static thread_local std::array<char, InputBuffer::piece> bytes;  // of all connections
    for (;;) {
        if (!socket_.is_open()) co_return false;
        const ssize_t size =
            ::recv(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size > 0) {
            input_.add({bytes.data(), static_cast<std::size_t>(size)});
            co_return true;
        }
        if (size == 0 || (errno != EAGAIN && errno != EINTR)) co_return false;
        error_code failed;
        co_await socket_.async_wait(StreamSocket::wait_read, catching(failed));
        if (failed) co_return false;
    }
}

// What the socket takes at once, as it does most answers, costs no turn of the loop.
Task<bool> Connection::write(std::span<const asio::const_buffer> pieces) {
    error_code failed;
    if (!socket_.non_blocking()) socket_.non_blocking(true, failed);
    boost::beast::buffers_suffix<std::span<const asio::const_buffer>> rest(pieces);
    if (!failed) rest.consume(socket_.write_some(pieces, failed));
    if (failed == asio::error::would_block) failed = {};
    if (!failed && asio::buffer_size(rest) > 0) {
        co_await asio::async_write(socket_, rest, catching(failed));
    }
    co_return !failed;
}

Task<bool> Connection::write(std::string_view text) {
    const std::array piece{asio::const_buffer(text.data(), text.size())};
    co_return co_await write(piece);
}

Task<> Connection::linger() {
    set_deadline(after(timeouts::linger));
    error_code ignored;
    socket_.shutdown(StreamSocket::shutdown_send, ignored);
    do {
        input_.consume(input_.text().size());
    } while (co_await read_more());
    close();
}

void Connection::close() {
    error_code ignored;
    socket_.close(ignored);
}

Task<> accept_connections(asio::posix::stream_descriptor& listening,
                          const std::function<Task<>()>& room,
                          const std::function<bool(int fd)>& filter,
                          const std::function<void(std::shared_ptr<Connection>)>& serve) {
    const int family = family_of(listening.native_handle());
    // Several threads may accept on this socket: the one that comes too late must not block.
    listening.native_non_blocking(true);
    while (listening.is_open()) {
        co_await room();
        if (!listening.is_open()) co_return;
        UniqueFd accepted(
            ::accept4(listening.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        const int error = accepted ? 0 : errno;
        if (accepted && (!filter || filter(accepted.get()))) {
            if (family != AF_UNIX) send_at_once(accepted.get());
            StreamSocket socket(listening.get_executor());
            socket.assign({family, 0}, accepted.release());
            serve(std::make_shared<Connection>(std::move(socket)));
        }
        error_code ignored;
        if (error == EAGAIN) {
            co_await listening.async_wait(asio::posix::stream_descriptor::wait_read,
                                          catching(ignored));
        } else if (error == 0 || error == ECONNABORTED || error == EINTR) {
            // Those that were accepted, and the other threads, get their turn first.
            co_await asio::post(listening.get_executor(), asio::use_awaitable);
        } else {
            co_await sleep_for(timeouts::accept_pause);
        }
    }
}

}  // namespace jamsock
