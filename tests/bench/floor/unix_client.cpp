// The floor of a command that asks a daemon: one request over a Unix socket, its answer's body to
// standard output. Built static and dynamic. Libc alone.
//
// usage: unix_client SOCKET TARGET BODY
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

// The length of the whole answer in `text`; 0: it is not all there yet.
size_t answer_size(const char* text, size_t got, const char** body) {
    const char* end = ::strstr(text, "\r\n\r\n");
    const char* length = ::strstr(text, "Content-Length: ");
    if (!end || !length) return 0;
    *body = end + 4;
    const size_t size = static_cast<size_t>(*body - text) + ::strtoul(length + 16, nullptr, 10);
    return got < size ? 0 : size;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ::strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;

    char text[8192];
    const int length = ::snprintf(text, sizeof text,
                                  "POST %s HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                  argv[2], ::strlen(argv[3]), argv[3]);
    if (::write(fd, text, static_cast<size_t>(length)) != length) return 1;

    size_t got = 0;
    while (true) {
        const ssize_t more = ::read(fd, text + got, sizeof text - 1 - got);
        if (more <= 0) return 1;
        got += static_cast<size_t>(more);
        text[got] = '\0';
        const char* body = nullptr;
        if (const size_t size = answer_size(text, got, &body)) {
            const size_t body_size = static_cast<size_t>(text + size - body);
            return ::write(STDOUT_FILENO, body, body_size) < 0 ? 1 : 0;
        }
    }
}
