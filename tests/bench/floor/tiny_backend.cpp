// The smallest backend: opens $PORT at once and answers every request with an empty 200. Libc
// alone.
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int backlog = 16;
constexpr char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

int listen_on(const char* port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::exit(1);
    if (::listen(fd, backlog) != 0) ::exit(1);
    return fd;
}

void answer(int client) {
    char head[4096];
    size_t got = 0;
    while (got < sizeof head - 1) {
        const ssize_t more = ::read(client, head + got, sizeof head - 1 - got);
        if (more <= 0) return;
        got += static_cast<size_t>(more);
        head[got] = '\0';
        if (::strstr(head, "\r\n\r\n")) break;
    }
    ::send(client, response, sizeof response - 1, MSG_NOSIGNAL);
}

}  // namespace

int main() {
    const char* port = ::getenv("PORT");
    if (!port) return 2;
    const int listening = listen_on(port);
    while (true) {
        const int client = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        answer(client);
        ::close(client);
    }
}
