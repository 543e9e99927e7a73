// A small real backend for tests: an HTTP/1.1 server of its own on $HOST:$PORT, with the habits,
// good and bad, that the command line asks for. Libc and std only.
//
// GET, HEAD or POST: /env its environment · /pid · /head the request's head as it came · /echo the
// body, streamed · /stream?n=N&ms=M N chunks, M ms apart · /zeros?n=N N bytes, with &chunked=1 in
// chunks · /sent how many of them went out · /count how long the body was · /log writes the body to
// stdout · /flood?n=N writes N bytes of lines there, each with its number · /print?LINE one line ·
// /notify says READY=1 · /health 503 until /heal was asked, then 200 · /asked how often /health was
// · /exit?code=N and /raise?signal=N end it so, without an answer and without a core file ·
// anything else "ok".
//
//   --slow-start MS          listens after that time          --never-listen     runs, and does not
//   --exit CODE              ends before it listens           --listen-on PORT   in place of $PORT
//   --listen-at ADDRESS      in place of $HOST, also IPv6     --mute             never answers
//   --listen-fd              on descriptor 3, if that is its own by LISTEN_FDS and LISTEN_PID
//   --exit-after-ready CODE  ends after its first answer      --ignore-term
//   --flood-log BYTES        writes so much output first
//   --log-requests           writes each request's target to its output
//   --fork-daemon            leaves a child in a session of its own, without descriptors
//   --fork-escaped           … in a session of its own, without environment, with all descriptors
//   --fork-hermit NAME       … that ignores TERM, in a session of its own, without descriptors and
//                            environment, and below it one more like it; NAME is an argument of
//                            both
//   --fork-successors NAME   … like a hermit, that forks a successor every 2 ms and ends, for 30 s
//   --end-main-thread        its main thread ends while the others serve
//   --fork-headless NAME     … in a session of its own, without descriptors, that keeps environment
//                            and NAME, ignores TERM, and whose main thread has ended
//   --fork-undumpable NAME   … that nobody without rights may look into (PR_SET_DUMPABLE)
//   --fork-storm NAME        … that forks a successor every 2 ms and ends, for 60 s
//   --resource PATH --journal PATH
//       It and an escaped child hold locks of their own on PATH: on one open of it together, and
//       each on PATH.<role>. Each appends "start <fencing token> <pid> <role>" to the journal,
//       after "OVERLAP …" if another run holds one of its locks still, and "end …" on SIGTERM.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/elusive.h"
#include "tests/support/journal.h"

using namespace jamsock::test;

namespace {

constexpr const char* escaped_argument = "--be-escaped";  // TOKEN RESOURCE JOURNAL READY-DESCRIPTOR
constexpr const char* hermit_argument = "--be-hermit";    // NAME
constexpr const char* successor_argument = "--be-successor";  // NAME
constexpr std::chrono::seconds successors_life{30};           // of all of them
constexpr long successor_life = 2;
constexpr std::size_t piece = 64 * 1024;
constexpr std::size_t largest_head = 64 * 1024;

std::string variable(const char* name, const char* otherwise) {
    const char* value = ::getenv(name);
    return value ? value : otherwise;
}

void sleep_for(long milliseconds) {
    ::poll(nullptr, 0, static_cast<int>(milliseconds));
}

[[noreturn]] void sleep_for_ever() {
    for (;;)
        ::pause();
}

struct Options {
    long slow_start = 0;
    std::optional<int> exit_code;
    std::optional<int> exit_after_ready;
    std::optional<int> port;
    std::optional<std::string> address;
    std::size_t flood = 0;
    bool never_listen = false;
    bool mute = false;
    bool listen_fd = false;
    bool ignore_term = false;
    bool log_requests = false;
    bool fork_daemon = false;
    bool fork_escaped = false;
    std::string hermit;
    std::string successors;
    std::vector<Elusive> elusive;
    bool end_main_thread = false;
    std::string resource;
    std::string journal;
};

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        const auto value = [&]() -> const char* {
            if (i + 1 < argc) return argv[++i];
            ::fprintf(stderr, "test_backend: %s needs a value\n", argv[i]);
            ::exit(64);
        };
        if (option == "--slow-start") {
            options.slow_start = ::atol(value());
        } else if (option == "--exit") {
            options.exit_code = ::atoi(value());
        } else if (option == "--exit-after-ready") {
            options.exit_after_ready = ::atoi(value());
        } else if (option == "--listen-on") {
            options.port = ::atoi(value());
        } else if (option == "--listen-at") {
            options.address = value();
        } else if (option == "--listen-fd") {
            options.listen_fd = true;
        } else if (option == "--mute") {
            options.mute = true;
        } else if (option == "--flood-log") {
            options.flood = static_cast<std::size_t>(::atoll(value()));
        } else if (option == "--never-listen") {
            options.never_listen = true;
        } else if (option == "--log-requests") {
            options.log_requests = true;
        } else if (option == "--ignore-term") {
            options.ignore_term = true;
        } else if (option == "--fork-daemon") {
            options.fork_daemon = true;
        } else if (option == "--fork-escaped") {
            options.fork_escaped = true;
        } else if (option == "--fork-hermit") {
            options.hermit = value();
        } else if (option == "--fork-successors") {
            options.successors = value();
        } else if (const auto kind = elusive_kind(option)) {
            options.elusive.push_back({*kind, value()});
        } else if (option == "--end-main-thread") {
            options.end_main_thread = true;
        } else if (option == "--resource") {
            options.resource = value();
        } else if (option == "--journal") {
            options.journal = value();
        } else {
            ::fprintf(stderr, "test_backend: unknown option %s\n", argv[i]);
            ::exit(64);
        }
    }
    return options;
}

// --- The resource and its journal
// -------------------------------------------------------------------

// SIGTERM, in a thread, so that the journal can be written. Call before any other thread starts.
void on_term(std::optional<Journal> journal) {
    sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
    std::thread([term, journal = std::move(journal)] {
        int signal = 0;
        ::sigwait(&term, &signal);
        if (journal) journal->write("end");
        ::_exit(0);
    }).detach();
}

// --- Children
// ---------------------------------------------------------------------------------------

void fork_daemon() {
    fork_twice([](int) {
        ::close_range(0, ~0U, 0);
        sleep_for_ever();
    });
}

void fork_escaped(const Options& options, const std::string& token) {
    fork_twice([&](int ready) {
        const std::string descriptor = std::to_string(ready);
        const std::array<const char*, 7> argv{"escaped",
                                              escaped_argument,
                                              token.c_str(),
                                              options.resource.c_str(),
                                              options.journal.c_str(),
                                              descriptor.c_str(),
                                              nullptr};
        const std::array<char*, 1> no_environment{nullptr};
        ::execve("/proc/self/exe", const_cast<char* const*>(argv.data()), no_environment.data());
        die("exec");
    });
}

[[noreturn]] void be_escaped(char** arguments) {
    const std::string resource = arguments[1];
    const Journal journal(arguments[2], arguments[0], "escaped");
    on_term(resource.empty() ? std::nullopt : std::optional(journal));
    if (!resource.empty()) {
        journal.lock_own(resource);
        journal.write("start");
    }
    ::close(::atoi(arguments[3]));
    sleep_for_ever();
}

// Lines of 100 bytes: "line 0", "line 1", …, filled up.
void write_numbered_lines(std::size_t bytes) {
    constexpr std::size_t width = 100;
    std::string lines;
    for (std::size_t i = 0; i < bytes / width; ++i) {
        std::string line = "line " + std::to_string(i) + ' ';
        line.resize(width - 1, 'x');
        lines += line + '\n';
        if (lines.size() < piece && i + 1 < bytes / width) continue;
        if (!write_all(STDOUT_FILENO, lines)) return;
        lines.clear();
    }
}

// `role` with `name` as its argument, without environment, leading a session of its own.
void fork_nameless(const char* role, const std::string& name) {
    fork_twice([&](int) {  // the pipe goes through the exec, and is closed with all the rest
        const std::array<const char*, 4> argv{"nameless", role, name.c_str(), nullptr};
        const std::array<char*, 1> no_environment{nullptr};
        ::execve("/proc/self/exe", const_cast<char* const*>(argv.data()), no_environment.data());
        die("exec");
    });
}

[[noreturn]] void be_hermit() {
    ::signal(SIGTERM, SIG_IGN);
    if (::fork() == 0) ::setsid();
    ::close_range(0, ~0U, 0);
    sleep_for_ever();
}

[[noreturn]] void be_successor() {
    ::signal(SIGTERM, SIG_IGN);
    ::close_range(0, ~0U, 0);
    const auto end = std::chrono::steady_clock::now() + successors_life;
    while (std::chrono::steady_clock::now() < end) {
        if (::fork() != 0) ::_exit(0);
        ::setsid();
        sleep_for(successor_life);
    }
    ::_exit(0);
}

// --- Readiness
// --------------------------------------------------------------------------------------

std::atomic<bool> is_healthy = false;
std::atomic<int> health_asked = 0;

// sd_notify(3).
void say_ready() {
    const std::string name = variable("NOTIFY_SOCKET", "");
    const std::string_view message = "READY=1";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path);
    if (name.starts_with('@')) address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (::sendto(fd, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&address),
                 size) < 0) {
        die("NOTIFY_SOCKET");
    }
    ::close(fd);
}

int passed_listener() {
    if (variable("LISTEN_FDS", "") != "1" ||
        variable("LISTEN_PID", "") != std::to_string(::getpid())) {
        die("LISTEN_FDS, LISTEN_PID");
    }
    return 3;
}

std::atomic<std::size_t> zeros_sent = 0;

// --- HTTP
// -------------------------------------------------------------------------------------------

class Connection {
  public:
    Connection(int socket, const Options& options) : socket_(socket), options_(options) {}
    ~Connection() { ::close(socket_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void serve() {
        while (read_head()) {
            if (options_.log_requests) write_all(STDOUT_FILENO, target_ + '\n');
            answer();
            if (options_.exit_after_ready) ::_exit(*options_.exit_after_ready);
            if (!keep_alive_) return;
        }
    }

  private:
    // Sends meanwhile what is pending: a client may read its echo only after its last byte.
    bool fill() {
        for (pollfd polled{socket_, POLLIN, 0}; !pending_.empty(); polled.revents = 0) {
            polled.events = POLLIN | POLLOUT;
            if (::poll(&polled, 1, -1) < 0) continue;
            if (polled.revents & (POLLOUT | POLLERR) && !send_pending(MSG_DONTWAIT)) return false;
            if (polled.revents & (POLLIN | POLLHUP)) break;
        }
        std::array<char, piece> bytes;
        const ssize_t length = ::recv(socket_, bytes.data(), bytes.size(), 0);
        if (length > 0) buffer_.append(bytes.data(), static_cast<std::size_t>(length));
        return length > 0;
    }

    // One send; false if the connection is broken.
    bool send_pending(int flags) {
        const ssize_t sent = ::send(socket_, pending_.data(), pending_.size(), flags);
        if (sent > 0) pending_.erase(0, static_cast<std::size_t>(sent));
        return sent > 0 || errno == EAGAIN || errno == EINTR;
    }

    bool read_head() {
        std::size_t end;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (buffer_.size() > largest_head || !fill()) return false;
        }
        head_ = buffer_.substr(0, end + 4);
        buffer_.erase(0, end + 4);
        const std::size_t space = head_.find(' ');
        if (space == std::string::npos) return false;
        method_ = head_.substr(0, space);
        target_ = head_.substr(space + 1, head_.find_first_of(" \r", space + 1) - space - 1);
        const bool old = head_.substr(0, head_.find("\r\n")).ends_with(" HTTP/1.0");
        keep_alive_ = !old && !has_token("connection", "close");
        return true;
    }

    std::optional<std::string> field(std::string_view name) const {
        for (std::size_t line = head_.find("\r\n") + 2; line < head_.size();) {
            const std::size_t end = head_.find("\r\n", line);
            const std::string_view text(head_.data() + line, end - line);
            if (text.size() > name.size() && text[name.size()] == ':' &&
                ::strncasecmp(text.data(), name.data(), name.size()) == 0) {
                const std::size_t start = text.find_first_not_of(" \t", name.size() + 1);
                return start == std::string_view::npos ? "" : std::string(text.substr(start));
            }
            line = end + 2;
        }
        return std::nullopt;
    }

    bool has_token(std::string_view name, const char* token) const {
        const auto value = field(name);
        return value && ::strcasecmp(value->c_str(), token) == 0;
    }

    void answer() {
        const std::string path = target_.substr(0, target_.find('?'));
        if (has_token("expect", "100-continue")) send("HTTP/1.1 100 Continue\r\n\r\n");
        if (path == "/echo") return echo();
        if (path == "/count") return count();
        const bool to_log = path == "/log";
        if (!read_body([to_log](std::string_view part) {
                return !to_log || write_all(STDOUT_FILENO, part);
            })) {
            keep_alive_ = false;
        }
        if (path == "/flood") write_numbered_lines(static_cast<std::size_t>(query("n", 0)));
        if (path == "/stream") return stream();
        if (path == "/zeros") return zeros();
        if (path == "/sent") return text(std::to_string(zeros_sent));
        if (path == "/exit") ::_exit(static_cast<int>(query("code", 0)));
        if (path == "/raise") die_of(static_cast<int>(query("signal", SIGKILL)));
        if (path == "/env") return text(environment());
        if (path == "/pid") return text(std::to_string(::getpid()) + "\n");
        if (path == "/head") return text(head_);
        if (path == "/print") write_all(STDOUT_FILENO, target_.substr(path.size() + 1) + '\n');
        if (path == "/notify") say_ready();
        if (path == "/heal") is_healthy = true;
        if (path == "/asked") return text(std::to_string(health_asked));
        if (path == "/health" && ++health_asked && !is_healthy) return unavailable();
        text("ok\n");
    }

    [[noreturn]] static void die_of(int signal) {
        const rlimit none{};
        ::setrlimit(RLIMIT_CORE, &none);
        ::signal(signal, SIG_DFL);
        ::kill(::getpid(), signal);
        sleep_for_ever();
    }

    void unavailable() {
        keep_alive_ = false;
        send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }

    static std::string environment() {
        std::string lines;
        for (char** entry = environ; *entry; ++entry)
            lines += std::string(*entry) + '\n';
        return lines;
    }

    void text(const std::string& body) {
        start_answer("Content-Length: " + std::to_string(body.size()));
        if (method_ != "HEAD") send(body);
    }

    void start_answer(const std::string& framing) {
        send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + framing +
             (keep_alive_ ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n"));
    }

    void echo() {
        start_answer("Transfer-Encoding: chunked");
        const bool whole = read_body([this](std::string_view part) {
            pending_ += chunk(part);
            return send_pending(MSG_DONTWAIT);
        });
        while (!pending_.empty() && send_pending(0))
            continue;
        keep_alive_ = keep_alive_ && whole && pending_.empty() && send("0\r\n\r\n");
    }

    void stream() {
        const long count = query("n", 3);
        const long pause = query("ms", 0);
        start_answer("Transfer-Encoding: chunked");
        for (long i = 0; i < count; ++i) {
            if (i > 0) sleep_for(pause);
            if (!send(chunk("chunk " + std::to_string(i) + "\n"))) return;
        }
        send("0\r\n\r\n");
    }

    void zeros() {
        static const std::string part(4 * piece, '\0');
        const auto size = static_cast<std::size_t>(query("n", 0));
        const bool is_chunked = query("chunked", 0) != 0;
        start_answer(is_chunked ? "Transfer-Encoding: chunked"
                                : "Content-Length: " + std::to_string(size));
        for (std::size_t left = size; left > 0;) {
            const std::string_view next = std::string_view(part).substr(0, left);
            if (!send(is_chunked ? chunk(next) : next)) return;
            zeros_sent += next.size();
            left -= next.size();
        }
        if (is_chunked) send("0\r\n\r\n");
    }

    void count() {
        std::size_t size = 0;
        const bool whole = read_body([&size](std::string_view part) {
            size += part.size();
            return true;
        });
        keep_alive_ = keep_alive_ && whole;
        text(std::to_string(size));
    }

    long query(const std::string& name, long otherwise) const {
        const std::size_t question = target_.find('?');
        if (question == std::string::npos) return otherwise;
        const std::string all = '&' + target_.substr(question + 1);
        const std::size_t found = all.find('&' + name + '=');
        return found == std::string::npos ? otherwise : ::atol(&all[found + name.size() + 2]);
    }

    // Hands the body on as it comes; false if it breaks off or is no body.
    template <class Sink>
    bool read_body(Sink sink) {
        if (has_token("transfer-encoding", "chunked")) return read_chunks(sink);
        const auto length = field("content-length");
        return !length || read_exactly(::strtoull(length->c_str(), nullptr, 10), sink);
    }

    template <class Sink>
    bool read_chunks(Sink sink) {
        for (;;) {
            const auto size = read_line();
            if (!size || size->empty()) return false;
            const std::size_t length = ::strtoull(size->c_str(), nullptr, 16);
            if (length == 0) break;
            if (!read_exactly(length, sink) || read_line() != "") return false;
        }
        for (auto trailer = read_line(); trailer != ""; trailer = read_line()) {
            if (!trailer) return false;
        }
        return true;
    }

    std::optional<std::string> read_line() {
        std::size_t end;
        while ((end = buffer_.find("\r\n")) == std::string::npos) {
            if (!fill()) return std::nullopt;
        }
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 2);
        return line;
    }

    template <class Sink>
    bool read_exactly(std::size_t length, Sink sink) {
        while (length > 0) {
            if (buffer_.empty() && !fill()) return false;
            const std::size_t part = std::min(length, buffer_.size());
            if (!sink(std::string_view(buffer_).substr(0, part))) return false;
            buffer_.erase(0, part);
            length -= part;
        }
        return true;
    }

    static std::string chunk(std::string_view bytes) {
        std::array<char, 24> size;
        ::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
        return std::string(size.data()) + std::string(bytes) + "\r\n";
    }

    bool send(std::string_view bytes) { return write_all(socket_, bytes); }

    int socket_;
    const Options& options_;
    std::string buffer_;   // received, not yet used
    std::string pending_;  // of an echo, not yet sent
    std::string head_;
    std::string method_;
    std::string target_;
    bool keep_alive_ = true;
};

struct Address {
    sockaddr_storage name{};
    socklen_t size = 0;
};

Address address_of(const std::string& host, int port) {
    Address address;
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(address.name);
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(address.name);
    if (::inet_pton(AF_INET, host.c_str(), &ipv4.sin_addr) == 1) {
        address.name.ss_family = AF_INET;
        address.size = sizeof ipv4;
    } else {
        if (::inet_pton(AF_INET6, host.c_str(), &ipv6.sin6_addr) != 1) die("HOST");
        address.name.ss_family = AF_INET6;
        address.size = sizeof ipv6;
    }
    ipv4.sin_port = htons(static_cast<std::uint16_t>(port));  // at the same place in both
    return address;
}

int listener_on(const std::string& host, int port) {
    const Address address = address_of(host, port);
    const int fd = ::socket(address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address.name), address.size) != 0) {
        die("bind");
    }
    if (::listen(fd, SOMAXCONN) != 0) die("listen");
    return fd;
}

[[noreturn]] void serve(int listener, const Options& options) {
    for (;;) {
        const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0) continue;
        std::thread([socket, &options] { Connection(socket, options).serve(); }).detach();
    }
}

void flood(std::size_t bytes) {
    const std::string line(99, 'x');
    for (std::size_t done = 0; done < bytes; done += 100)
        write_all(STDOUT_FILENO, line + '\n');
}

// All forks come before the first thread.
void prepare(const Options& options) {
    const std::string token = variable("SESSION_BACKEND_FENCING_TOKEN", "0");
    const Journal journal(options.journal, token, "main");
    if (!options.resource.empty()) {
        journal.lock(options.resource);
        journal.lock_own(options.resource);
        journal.write("start");
    }
    if (options.fork_daemon) fork_daemon();
    if (!options.hermit.empty()) fork_nameless(hermit_argument, options.hermit);
    if (!options.successors.empty()) fork_nameless(successor_argument, options.successors);
    for (const Elusive& elusive : options.elusive)
        fork_elusive(elusive, options.resource, options.journal);
    if (options.fork_escaped || !options.resource.empty()) fork_escaped(options, token);
    if (options.ignore_term) {
        ::signal(SIGTERM, SIG_IGN);
    } else if (!options.resource.empty()) {
        on_term(journal);
    }
}

}  // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    if (argc == 6 && std::string_view(argv[1]) == escaped_argument) be_escaped(argv + 2);
    if (argc == 3 && std::string_view(argv[1]) == hermit_argument) be_hermit();
    if (argc == 3 && std::string_view(argv[1]) == successor_argument) be_successor();
    if (is_elusive(argc, argv)) be_elusive(argv);
    static const Options options = parse(argc, argv);
    prepare(options);
    flood(options.flood);
    if (options.exit_code) return *options.exit_code;
    if (options.slow_start > 0) sleep_for(options.slow_start);
    if (options.never_listen) sleep_for_ever();
    const int port = options.port.value_or(::atoi(variable("PORT", "0").c_str()));
    const std::string address = options.address.value_or(variable("HOST", "127.0.0.1"));
    const int listener = options.listen_fd ? passed_listener() : listener_on(address, port);
    if (options.mute) sleep_for_ever();
    if (options.end_main_thread) {
        std::thread([listener] { serve(listener, options); }).detach();
        ::pthread_exit(nullptr);
    }
    serve(listener, options);
}
