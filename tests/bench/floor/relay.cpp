// The floor of any proxy: one thread, one epoll, and for each client one connection to the backend,
// between which bytes are copied without being looked at. When one end closes, so does the other,
// whatever waits for it. Libc alone.
//
// usage: relay PORT BACKEND-PORT     (both on 127.0.0.1)
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int most_events = 64;

struct Pair;

struct End {
    int fd = -1;
    Pair* pair = nullptr;
    End* other = nullptr;
    std::string output;  // what was not taken at once; nothing is read from the other end meanwhile
};

struct Pair {
    Pair(int client_fd, int backend_fd)
        : client{client_fd, this, &backend, {}}, backend{backend_fd, this, &client, {}} {}
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair() {
        ::close(client.fd);
        ::close(backend.fd);
    }

    End client, backend;
    bool is_over = false;
};

sockaddr_in loopback(const char* port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int listen_on(const sockaddr_in& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::exit(1);
    if (::listen(fd, SOMAXCONN) != 0) ::exit(1);
    return fd;
}

void send_without_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

class Relay {
  public:
    Relay(const sockaddr_in& address, const sockaddr_in& backend)
        : listening_(listen_on(address)), backend_(backend) {
        watch(EPOLL_CTL_ADD, listening_, nullptr, EPOLLIN);
    }

    [[noreturn]] void run() {
        while (true) {
            epoll_event events[most_events];
            const int count = ::epoll_wait(epoll_, events, most_events, -1);
            for (int i = 0; i < count; ++i) {
                if (auto* end = static_cast<End*>(events[i].data.ptr)) {
                    serve(*end, events[i].events);
                } else {
                    accept();
                }
            }
            for (const Pair* pair : over_)  // only now: the same wait may have told of both ends
                delete pair;
            over_.clear();
        }
    }

  private:
    void watch(int operation, int fd, End* end, uint32_t events) const {
        epoll_event event{};
        event.events = events;
        event.data.ptr = end;
        ::epoll_ctl(epoll_, operation, fd, &event);
    }

    void accept() {
        const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) return;
        const int backend = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        auto* pair = new Pair(client, backend);
        const auto* address = reinterpret_cast<const sockaddr*>(&backend_);
        if (::connect(backend, address, sizeof backend_) != 0) return finish(*pair);
        for (End* end : {&pair->client, &pair->backend}) {
            send_without_delay(end->fd);
            watch(EPOLL_CTL_ADD, end->fd, end, EPOLLIN);
        }
    }

    void serve(End& end, uint32_t events) {
        if (end.pair->is_over) return;
        const bool is_broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
        const bool goes_on = (events & EPOLLOUT) != 0 ? send_rest(end) : pass_on(end);
        if (is_broken || !goes_on) finish(*end.pair);
    }

    // False: an end is closed.
    bool pass_on(End& from) {
        const ssize_t got = ::recv(from.fd, bytes_.data(), bytes_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return true;
        if (got <= 0) return false;
        if (!send(*from.other, {bytes_.data(), static_cast<std::size_t>(got)})) return false;
        if (!from.other->output.empty()) turn(*from.other);
        return true;
    }

    bool send_rest(End& end) {
        const std::string rest = std::move(end.output);
        end.output.clear();
        if (!send(end, rest)) return false;
        if (end.output.empty()) turn(end);
        return true;
    }

    // While something waits for an end, it is only written to, and the other end rests.
    void turn(End& end) {
        const bool waits = !end.output.empty();
        watch(EPOLL_CTL_MOD, end.fd, &end, waits ? EPOLLOUT : EPOLLIN);
        watch(EPOLL_CTL_MOD, end.other->fd, end.other, waits ? 0U : EPOLLIN);
    }

    static bool send(End& end, std::string_view bytes) {
        const ssize_t sent =
            ::send(end.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
        end.output.assign(bytes);
        return true;
    }

    void finish(Pair& pair) {
        pair.is_over = true;
        over_.push_back(&pair);
    }

    int listening_;
    sockaddr_in backend_;
    int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<const Pair*> over_;
    std::array<char, 256 * 1024> bytes_{};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    static Relay relay(loopback(argv[1]), loopback(argv[2]));  // too large for a stack
    relay.run();
}
