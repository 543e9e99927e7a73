#include "daemon/http/event_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::string_view before_data = "data:";
constexpr std::string_view after_data = "\n\n";
constexpr std::string_view last_chunk = "0\r\n\r\n";

enum class Reading { nothing, more, end };

Reading look(int socket) {
    char byte;
    const ssize_t length = ::recv(socket, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    if (length > 0) return Reading::more;
    const bool nothing = length < 0 && (errno == EAGAIN || errno == EINTR);
    return nothing ? Reading::nothing : Reading::end;
}

}  // namespace

EventStream::EventStream(std::shared_ptr<Connection> connection, bool is_chunked)
    : connection_(std::move(connection)), is_chunked_(is_chunked) {
    watch(connection_);
}

// Closes the connection as soon as its client has, so that one who leaves costs no descriptor until
// the next event. A request that comes already would never be answered here: then nothing is
// watched, and the next event tells.
void EventStream::watch(const std::shared_ptr<Connection>& connection) {
    connection->socket().async_wait(StreamSocket::wait_read, [connection](error_code failed) {
        if (failed) return;
        const Reading reading = look(connection->socket().native_handle());
        if (reading == Reading::end) connection->close();
        if (reading == Reading::nothing) watch(connection);
    });
}

Task<bool> EventStream::send(std::string_view data) {
    const std::size_t size = before_data.size() + data.size() + after_data.size();
    const std::string chunk_head = is_chunked_ ? fmt::format("{:x}\r\n", size) : std::string();
    const std::string_view chunk_end = is_chunked_ ? "\r\n" : "";
    const std::array pieces{asio::buffer(chunk_head), asio::buffer(before_data), asio::buffer(data),
                            asio::buffer(after_data), asio::buffer(chunk_end)};
    if (is_over()) co_return false;
    connection_->set_deadline(after(timeouts::response_write));
    const bool sent = co_await connection_->write(pieces);
    connection_->set_deadline(never);
    co_return sent;
}

Task<bool> EventStream::finish() {
    if (is_over()) co_return false;
    connection_->set_deadline(after(timeouts::response_write));
    co_return co_await connection_->write(is_chunked_ ? last_chunk : std::string_view());
}

}  // namespace jamsock
