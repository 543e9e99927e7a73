// The floor of any HTTP answer on a Unix socket: one thread, one epoll, and to every request the
// same answer, whose body is as long as it is told. Libc alone.
//
// usage: echo_server SOCKET BODY-LENGTH
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <string>
#include <string_view>

namespace {

constexpr int most_events = 64;
constexpr int backlog = 128;

int listen_on(const char* path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::exit(1);
    if (::listen(fd, backlog) != 0) ::exit(1);
    return fd;
}

void watch(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// The length of the whole request at the start of `bytes`; 0: it is not all there yet.
std::size_t request_size(std::string_view bytes) {
    constexpr std::string_view length_field = "Content-Length: ";
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const auto field = bytes.substr(0, end).find(length_field);
    const std::size_t body =
        field == std::string_view::npos
            ? 0
            : ::strtoul(bytes.data() + field + length_field.size(), nullptr, 10);
    const std::size_t size = end + 4 + body;
    return bytes.size() < size ? 0 : size;
}

// False: the client is gone.
bool answer(int fd, std::string& pending, const std::string& response) {
    char bytes[4096];
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    if (got <= 0) return false;
    pending.append(bytes, static_cast<std::size_t>(got));
    while (const std::size_t size = request_size(pending)) {
        pending.erase(0, size);
        if (::send(fd, response.data(), response.size(), MSG_NOSIGNAL) < 0) return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const std::string body(::strtoul(argv[2], nullptr, 10), 'x');
    const std::string response =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\nConnection: keep-alive\r\n\r\n" + body;
    const int listening = listen_on(argv[1]);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listening);
    std::map<int, std::string> clients;
    while (true) {
        epoll_event events[most_events];
        const int count = ::epoll_wait(epoll, events, most_events, -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listening) {
                const int client = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
                if (client >= 0) watch(epoll, client);
            } else if (!answer(fd, clients[fd], response)) {
                clients.erase(fd);
                ::close(fd);
            }
        }
    }
}
