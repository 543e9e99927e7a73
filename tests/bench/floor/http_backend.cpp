// The backend behind the proxies that are measured: one thread, one epoll, HTTP/1.1 with kept-open
// connections on 127.0.0.1:$PORT. GET /small has 100 bytes, GET /large 100 KB; a WebSocket's frames
// come back as they went. Libc alone.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr int most_events = 64;
constexpr std::size_t small_body = 100;
constexpr std::size_t large_body = 100'000;

// To the key of RFC 6455's example, which the load generator sends: hashing it is not measured.
constexpr std::string_view switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

std::string response_of(const char* status, std::size_t body_size) {
    return std::string("HTTP/1.1 ") + status +
           "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body_size) +
           "\r\n\r\n" + std::string(body_size, 'x');
}

const std::string small = response_of("200 OK", small_body);
const std::string large = response_of("200 OK", large_body);
const std::string absent = response_of("404 Not Found", 0);

struct Client {
    std::string input;
    std::string output;  // what the socket didn't take at once
    bool is_websocket = false;
    bool is_last = false;  // closes when `output` is sent
};

int listen_on(const char* port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::exit(1);
    if (::listen(fd, SOMAXCONN) != 0) ::exit(1);
    return fd;
}

void watch(int epoll, int operation, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, operation, fd, &event);
}

// What the socket doesn't take waits.
void send(int fd, Client& client, std::string_view bytes) {
    if (client.output.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    client.output += bytes;
}

std::string_view response_to(std::string_view head) {
    if (head.starts_with("GET /small ")) return small;
    if (head.starts_with("GET /large ")) return large;
    return absent;
}

bool has(const std::string& head, const char* field) {
    return ::strcasestr(head.c_str(), field) != nullptr;
}

// False: no whole request is there.
bool answer_request(int fd, Client& client) {
    const auto end = client.input.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string head = client.input.substr(0, end + 2);
    client.input.erase(0, end + 4);
    client.is_websocket = has(head, "\r\nUpgrade: websocket\r\n");
    client.is_last = has(head, "\r\nConnection: close\r\n");
    const bool is_head = head.starts_with("HEAD ");
    const std::string_view response = client.is_websocket ? switching : response_to(head);
    send(fd, client, is_head ? std::string_view(absent) : response);
    return !client.is_last;
}

// False: no whole frame is there. Frames are masked and shorter than 64 KB.
bool echo_frame(int fd, Client& client) {
    constexpr std::size_t mask_size = 4;
    const auto* bytes = reinterpret_cast<const unsigned char*>(client.input.data());
    if (client.input.size() < 4) return false;
    const bool is_long = (bytes[1] & 0x7F) == 126;
    const std::size_t head = is_long ? 4 : 2;
    const std::size_t size =
        is_long ? static_cast<std::size_t>(bytes[2]) << 8 | bytes[3] : bytes[1] & 0x7FU;
    if (client.input.size() < head + mask_size + size) return false;
    std::string frame = client.input.substr(0, head);
    frame[1] = static_cast<char>(frame[1] & 0x7F);
    for (std::size_t i = 0; i < size; ++i)
        frame += static_cast<char>(bytes[head + mask_size + i] ^ bytes[head + i % mask_size]);
    client.input.erase(0, head + mask_size + size);
    send(fd, client, frame);
    return true;
}

// False: the client is gone, or was told that this is the end.
bool receive(int fd, Client& client) {
    char bytes[16384];
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    client.input.append(bytes, static_cast<std::size_t>(got));
    while (client.is_websocket ? echo_frame(fd, client) : answer_request(fd, client))
        continue;
    return !client.is_last || !client.output.empty();
}

// False: it was the last one.
bool send_rest(int fd, Client& client) {
    const std::string rest = std::move(client.output);
    client.output.clear();
    send(fd, client, rest);
    return !client.is_last || !client.output.empty();
}

class Server {
  public:
    explicit Server(int listening) : listening_(listening) {
        watch(epoll_, EPOLL_CTL_ADD, listening_, EPOLLIN);
    }

    [[noreturn]] void run() {
        while (true) {
            epoll_event events[most_events];
            const int count = ::epoll_wait(epoll_, events, most_events, -1);
            for (int i = 0; i < count; ++i) {
                if (events[i].data.fd == listening_) {
                    accept();
                } else {
                    serve(events[i].data.fd, events[i].events);
                }
            }
        }
    }

  private:
    void accept() {
        const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        clients_[fd] = std::make_unique<Client>();
        watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
    }

    // Reads nothing while something waits to be sent.
    void serve(int fd, uint32_t events) {
        Client& client = *clients_[fd];
        const bool was_waiting = !client.output.empty();
        const bool is_broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
        if (is_broken || !(was_waiting ? send_rest(fd, client) : receive(fd, client))) {
            clients_.erase(fd);
            ::close(fd);
            return;
        }
        const bool is_waiting = !client.output.empty();
        if (is_waiting != was_waiting) {
            watch(epoll_, EPOLL_CTL_MOD, fd, is_waiting ? EPOLLOUT : EPOLLIN);
        }
    }

    int listening_;
    int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::unordered_map<int, std::unique_ptr<Client>> clients_;
};

}  // namespace

int main() {
    const char* port = ::getenv("PORT");
    if (!port) return 2;
    Server(listen_on(port)).run();
}
