#include "tests/bench/support/closed_loop.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "tests/bench/support/process_cost.h"

namespace jamsock::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int most_events = 64;
constexpr std::chrono::seconds longest_answer{10};

[[noreturn]] void broken(std::string_view what) {
    throw std::runtime_error(std::string(what));
}

[[noreturn]] void unanswered(ssize_t received) {
    broken(received == 0 ? "a server has closed a connection" : "an answer does not come");
}

template <class Address>
UniqueFd connect_to(const Address& address, const std::string& name) {
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    UniqueFd fd(::socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{.tv_sec = longest_answer.count(), .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(fd.get(), generic, sizeof address) != 0) broken("can't connect to " + name);
    return fd;
}

UniqueFd connect_to_port(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    UniqueFd fd = connect_to(address, fmt::format("port {}", port));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

UniqueFd connect_to(const Server& server) {
    if (server.socket.empty()) return connect_to_port(server.port);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    server.socket.copy(address.sun_path, sizeof address.sun_path - 1);
    return connect_to(address, server.socket);
}

std::size_t number_at(std::string_view text) {
    std::size_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

// The value that `share` of them are not above.
double quantile(std::vector<double>& values, double share) {
    if (values.empty()) broken("no call was answered in time");
    const double rank = share * static_cast<double>(values.size() - 1);
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::ranges::nth_element(values, place);
    return *place;
}

// Nothing if the head has no such field; its name is written with capitals or without.
std::optional<std::size_t> content_length(std::string_view head) {
    constexpr std::string_view with_capitals = "\r\nContent-Length: ";
    constexpr std::string_view without = "\r\ncontent-length: ";
    const auto found = std::min(head.find(with_capitals), head.find(without));
    if (found == std::string_view::npos) return std::nullopt;
    return number_at(head.substr(found + without.size()));
}

// Its first line is enough: it goes into a cell of a table.
[[noreturn]] void refused(std::string_view answer) {
    broken(answer.substr(0, answer.find("\r\n")));
}

}  // namespace

std::size_t http_answer_size(std::string_view bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const auto length = content_length(bytes.substr(0, end));
    if (!bytes.starts_with("HTTP/1.1 200 ") || !length) refused(bytes);
    return end + 4 + *length;
}

std::size_t redis_answer_size(std::string_view bytes) {
    const auto end = bytes.find("\r\n");
    if (end == std::string_view::npos) return 0;
    if (bytes.starts_with('-')) broken(bytes);
    const bool has_text = bytes.starts_with('$') && bytes[1] != '-';
    return end + 2 + (has_text ? number_at(bytes.substr(1)) + 2 : 0);
}

// Messages of one letter and a length, up to "ready for query".
std::size_t postgres_answer_size(std::string_view bytes) {
    constexpr std::size_t head = 5;
    std::size_t at = 0;
    while (bytes.size() >= at + head) {
        const char kind = bytes[at];
        std::size_t length = 0;
        for (std::size_t i = 1; i < head; ++i)
            length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
        if (bytes.size() < at + 1 + length) return 0;
        if (kind == 'E') broken(bytes.substr(at, 1 + length));
        at += 1 + length;
        if (kind == 'Z') return at;
    }
    return 0;
}

std::size_t websocket_answer_size(std::string_view bytes) {
    constexpr std::size_t frame_head = 2;
    constexpr unsigned char longest = 125;
    if (bytes.starts_with("HTTP/")) {
        const auto end = bytes.find("\r\n\r\n");
        if (end == std::string_view::npos) return 0;
        if (!bytes.starts_with("HTTP/1.1 101 ")) refused(bytes);
        return end + 4;
    }
    if (bytes.size() < frame_head) return 0;
    const auto length = static_cast<unsigned char>(bytes[1]);
    if (length > longest) broken("this frame was not sent");
    return frame_head + length;
}

Conversation::Conversation(const Server& server, const Talk& talk)
    : fd_(connect_to(server)), answer_size_(talk.answer_size), keeps_answers_(talk.keeps_answers) {
    if (talk.greeting.empty()) return;
    send(talk.greeting);
    for (int i = 0; i < talk.greeting_answers; ++i)
        while (!take_answer())
            continue;
}

void Conversation::send(std::string_view request) {
    const ssize_t sent = ::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request.size())) broken("a request can't be sent");
}

bool Conversation::take_answer() {
    if (missing_ > 0) return throw_rest_away();
    std::size_t size = answer_size_(bytes_);
    if (size == 0 || size > bytes_.size()) {
        receive();
        size = answer_size_(bytes_);
    }
    if (size > bytes_.size() && !keeps_answers_) {
        missing_ = size - bytes_.size();
        bytes_.clear();
    }
    if (size == 0 || size > bytes_.size()) return false;
    answer_.assign(bytes_, 0, size);
    bytes_.erase(0, size);
    return true;
}

void Conversation::receive() {
    std::array<char, 8192> piece;
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (got <= 0) unanswered(got);
    bytes_.append(piece.data(), static_cast<std::size_t>(got));
}

bool Conversation::throw_rest_away() {
    const ssize_t gone = ::recv(fd_.get(), nullptr, missing_, MSG_TRUNC);
    if (gone <= 0) unanswered(gone);
    missing_ -= static_cast<std::size_t>(gone);
    return missing_ == 0;
}

std::string_view Conversation::ask(std::string_view request) {
    send(request);
    while (!take_answer())
        continue;
    return answer_;
}

Load::Load(const Server& server, const Talk& talk, int connections)
    : process_(server.process), request_(talk.request), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    clients_.reserve(static_cast<std::size_t>(connections));  // they stay where they are
    for (int i = 0; i < connections; ++i) {
        Client& client = clients_.emplace_back(Client{Conversation(server, talk)});
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &client;
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client.conversation.fd(), &event);
    }
}

Pace Load::run(std::chrono::milliseconds duration) {
    std::vector<double> times;
    times.reserve(1 << 18);
    const double processor_before = process_ ? processor_time_us(process_) : 0;
    const auto begin = Clock::now();
    for (Client& client : clients_)
        send_next(client);
    while (under_way_ > 0)
        await(times, begin + duration);
    const double elapsed = microseconds(Clock::now() - begin);
    const double processor = process_ ? processor_time_us(process_) - processor_before : 0;
    const double calls = static_cast<double>(times.size());
    return {.median_us = quantile(times, 0.5),
            .tail_us = quantile(times, 0.99),
            .per_second = calls * 1e6 / elapsed,
            .processor_us = processor / calls};
}

void Load::send_next(Client& client) {
    client.sent = Clock::now();
    client.conversation.send(request_);
    ++under_way_;
}

void Load::await(std::vector<double>& times, Clock::time_point end) {
    epoll_event events[most_events];
    const int limit = static_cast<int>(std::chrono::milliseconds(longest_answer).count());
    const int count = ::epoll_wait(epoll_.get(), events, most_events, limit);
    if (count == 0) broken("an answer does not come");
    for (int i = 0; i < count; ++i) {
        Client& client = *static_cast<Client*>(events[i].data.ptr);
        if (!client.conversation.take_answer()) continue;
        const auto now = Clock::now();
        times.push_back(microseconds(now - client.sent));
        --under_way_;
        if (now < end) send_next(client);
    }
}

}  // namespace jamsock::bench
