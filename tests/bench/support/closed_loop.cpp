#include "tests/bench/support/closed_loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace jamsock::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int most_events = 64;

[[noreturn]] void broken(std::string_view what) {
    throw std::runtime_error(std::string(what));
}

UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        broken("can't connect to " + path);
    }
    return fd;
}

std::size_t number_at(std::string_view text) {
    std::size_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

// Of all threads of a process so far.
double processor_time_us(pid_t process) {
    double nanoseconds = 0;
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), gone)) {
        double on_processor = 0;
        std::ifstream(thread.path() / "schedstat") >> on_processor;
        nanoseconds += on_processor;
    }
    return nanoseconds / 1000;
}

double median_of(std::vector<double>& values) {
    if (values.empty()) broken("no call was answered in time");
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

struct Client {
    Conversation conversation;
    Clock::time_point sent = {};

    void send_next(const std::string& request) {
        sent = Clock::now();
        conversation.send(request);
    }
};

std::vector<Client> clients_of(const Server& server, const Talk& talk, int count) {
    std::vector<Client> clients;
    for (int i = 0; i < count; ++i)
        clients.push_back(Client{Conversation(server, talk)});
    return clients;
}

UniqueFd watch(std::vector<Client>& clients) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    for (Client& client : clients) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &client;
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, client.conversation.fd(), &event);
    }
    return epoll;
}

}  // namespace

std::size_t http_answer_size(std::string_view bytes) {
    constexpr std::string_view good = "HTTP/1.1 200 ";
    constexpr std::string_view length_field = "Content-Length: ";
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const auto length = bytes.find(length_field);
    if (!bytes.starts_with(good) || length > end) broken(bytes);
    const std::size_t size = end + 4 + number_at(bytes.substr(length + length_field.size()));
    return bytes.size() < size ? 0 : size;
}

std::size_t redis_answer_size(std::string_view bytes) {
    const auto end = bytes.find("\r\n");
    if (end == std::string_view::npos) return 0;
    if (bytes.starts_with('-')) broken(bytes);
    const bool has_text = bytes.starts_with('$') && bytes[1] != '-';
    const std::size_t size = end + 2 + (has_text ? number_at(bytes.substr(1)) + 2 : 0);
    return bytes.size() < size ? 0 : size;
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

Conversation::Conversation(const Server& server, const Talk& talk)
    : fd_(connect_to(server.socket)), answer_size_(talk.answer_size) {
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
    std::size_t size = answer_size_(bytes_);
    if (size == 0) {
        std::array<char, 8192> piece;
        const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
        if (got <= 0) broken("a server has closed a connection");
        bytes_.append(piece.data(), static_cast<std::size_t>(got));
        size = answer_size_(bytes_);
    }
    if (size == 0) return false;
    answer_.assign(bytes_, 0, size);
    bytes_.erase(0, size);
    return true;
}

std::string_view Conversation::ask(std::string_view request) {
    send(request);
    while (!take_answer())
        continue;
    return answer_;
}

Pace drive(const Server& server, const Talk& talk, int connections,
           std::chrono::milliseconds duration) {
    std::vector<Client> clients = clients_of(server, talk, connections);
    const UniqueFd epoll = watch(clients);
    std::vector<double> times;
    times.reserve(1 << 18);

    const double processor_before = server.process ? processor_time_us(server.process) : 0;
    const auto begin = Clock::now();
    for (Client& client : clients)
        client.send_next(talk.request);
    auto now = begin;
    while (now - begin < duration) {
        epoll_event events[most_events];
        const int count = ::epoll_wait(epoll.get(), events, most_events, -1);
        for (int i = 0; i < count; ++i) {
            Client& client = *static_cast<Client*>(events[i].data.ptr);
            if (!client.conversation.take_answer()) continue;
            now = Clock::now();
            times.push_back(microseconds(now - client.sent));
            client.send_next(talk.request);
        }
    }
    const double calls = static_cast<double>(times.size());
    const double processor =
        server.process ? processor_time_us(server.process) - processor_before : 0;
    return {.median_us = median_of(times),
            .per_second = calls * 1e6 / microseconds(now - begin),
            .processor_us = processor / calls};
}

}  // namespace jamsock::bench
