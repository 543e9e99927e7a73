#include "daemon/http/event_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::string_view before_data = "data:";
constexpr std::string_view before_space = "data: ";  // parsers take one space off
constexpr std::string_view after_data = "\n\n";
constexpr std::string_view last_chunk = "0\r\n\r\n";

constexpr std::size_t ignored_at_once = 4096;

// Whether the client may still be there. What it sends behind its request is never answered here,
// so it is thrown away.
bool is_there(int socket) {
    std::array<char, ignored_at_once> ignored;
    const ssize_t length = ::recv(socket, ignored.data(), ignored.size(), MSG_DONTWAIT);
    return length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

EventStream::EventStream(std::shared_ptr<Connection> connection, bool is_chunked)
    : is_chunked_(is_chunked) {
    asio::steady_timer presence(connection->socket().get_executor());
    presence.expires_at(never);
    client_ = std::make_shared<Client>(Client{std::move(connection), std::move(presence)});
    client_->connection->input().release();
    watch(client_);
}

// Ends the stream as soon as its client has, so that one who leaves costs nothing until the next
// event.
void EventStream::watch(const std::shared_ptr<Client>& client) {
    StreamSocket& socket = client->connection->socket();
    socket.async_wait(StreamSocket::wait_read, [client](error_code failed) {
        if (!failed && is_there(client->connection->socket().native_handle())) {
            watch(client);
        } else {
            client->connection->close();
            client->presence.expires_at(Deadline());
        }
    });
}

Task<bool> EventStream::send(std::string_view data) {
    const std::string_view name = data.starts_with(' ') ? before_space : before_data;
    const std::size_t size = name.size() + data.size() + after_data.size();
    const std::string chunk_head = is_chunked_ ? fmt::format("{:x}\r\n", size) : std::string();
    const std::string_view chunk_end = is_chunked_ ? "\r\n" : "";
    const std::array pieces{asio::buffer(chunk_head), asio::buffer(name), asio::buffer(data),
                            asio::buffer(after_data), asio::buffer(chunk_end)};
    if (is_over()) co_return false;
    client_->connection->set_deadline(after(timeouts::response_write));
    const bool sent = co_await client_->connection->write(pieces);
    client_->connection->set_deadline(never);
    co_return sent;
}

Task<bool> EventStream::finish() {
    if (is_over()) co_return false;
    client_->connection->set_deadline(after(timeouts::response_write));
    co_return co_await client_->connection->write(is_chunked_ ? last_chunk : std::string_view());
}

}  // namespace jamsock
