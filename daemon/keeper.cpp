#include "daemon/keeper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "common/file_lock.h"
#include "common/instance_file.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "common/unique_fd.h"
#include "daemon/born_children.h"
#include "daemon/configuration.h"
#include "daemon/loopback_address.h"
#include "daemon/shim/keeper.h"
#include "daemon/shim/log_file.h"
#include "daemon/tcp_sockets.h"

namespace jamsock {

namespace {

constexpr int neighbouring_ports = 100;

// A port of ours: where it is remembered, and who wants it.
struct PortUse {
    const char* name;
    const char* file;
    std::uint16_t standard;
    bool is_both;  // taken, too, if somebody else has it on [::1]
};
// URLs in use must stay good; the API's clients ask anew, some of them at "localhost".
constexpr PortUse proxy_use{"the proxy", state_file::proxy_port, 9090, false};
constexpr PortUse api_use{"the API", state_file::api_port, 8080, true};

tl::unexpected<Error> refuse(std::string message, std::string hint = {}) {
    return fail(ErrorCode::daemon_unavailable, std::move(message), std::move(hint));
}

// A line of the log. Not fmt::print, which throws where the log can't be written: on a full disk.
void note(const std::string& text) {
    ::fprintf(stderr, "keeper: %s\n", text.c_str());
}

Result<> log_to_file(int directory) {
    const LogFile log(directory, STDERR_FILENO);
    if (!log.follow()) {
        return refuse(fmt::format("The log can't be opened: {}.", ::strerror(errno)));
    }
    log.make_room(0);
    return {};
}

// The caller holds daemon.lock, so whichever daemon bound the name before is gone. What is no
// socket was put there by somebody else, and is no daemon's to remove.
Result<> free_socket_name(int directory, const std::string& state_directory) {
    struct stat status {};
    if (::fstatat(directory, state_file::socket, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (S_ISSOCK(status.st_mode)) {
        ::unlinkat(directory, state_file::socket, 0);
        return {};
    }
    const std::string path = state_directory + "/" + state_file::socket;
    return refuse(fmt::format("In the place of the daemon's socket, {}, is something else; it was "
                              "left as it is.",
                              in_quotes(path)),
                  shell_line({"mv", path, path + ".aside"}));
}

Result<UniqueFd> listen_for_clients(int directory, const std::string& state_directory) {
    if (auto freed = free_socket_name(directory, state_directory); !freed) return pass_on(freed);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_in(directory, state_file::socket).copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), SOMAXCONN) != 0) {
        return refuse(fmt::format("The daemon's socket can't be made: {}.", ::strerror(errno)));
    }
    return listener;
}

// Empty, with errno, if that can't be.
UniqueFd listen_on_loopback(int family, std::uint16_t port) {
    UniqueFd listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener) return listener;
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const LoopbackAddress address(family, port);
    if (::bind(listener.get(), address.get(), address.size()) != 0 ||
        ::listen(listener.get(), SOMAXCONN) != 0) {
        return UniqueFd();
    }
    return listener;
}

// Who means [::1] by "localhost" gets here, too, and to no stranger. Empty where that can't be.
UniqueFd listen_on_ipv6(const PortUse& use, std::uint16_t port) {
    UniqueFd listener = listen_on_loopback(AF_INET6, port);
    if (!listener) {
        note(fmt::format("{} listens on 127.0.0.1 only: on [::1], port {} can't be had: {}",
                         use.name, port, ::strerror(errno)));
    }
    return listener;
}

std::uint16_t remembered_port(int directory, const PortUse& use) {
    const UniqueFd file(::openat(directory, use.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    std::array<char, 16> text{};
    std::uint16_t port = 0;
    const ssize_t length = file ? ::read(file.get(), text.data(), text.size()) : 0;
    if (length > 0) std::from_chars(text.data(), text.data() + length, port);
    return port;
}

// Whole or not at all: a port that was lost to a full disk or a crash would cost all URLs.
void remember_port(int directory, const PortUse& use, std::uint16_t port) {
    const std::string unfinished = std::string(use.file) + ".new";
    const std::string text = fmt::format("{}\n", port);
    ::unlinkat(directory, unfinished.c_str(), 0);  // of one that was killed, or a link
    const UniqueFd file(::openat(directory, unfinished.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    const bool is_kept =
        file &&
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::renameat(directory, unfinished.c_str(), directory, use.file) == 0;
    if (!is_kept)
        note(fmt::format("the port of {} can't be kept: {}", use.name, ::strerror(errno)));
}

struct Listeners {
    UniqueFd ipv4;
    UniqueFd ipv6;  // empty: it was not asked for, or can't be
};

// No `ipv4`, with errno, if the port can't be had.
Listeners listen_on(const PortUse& use, std::uint16_t port) {
    Listeners listeners{listen_on_loopback(AF_INET, port), UniqueFd()};
    if (!listeners.ipv4 || !use.is_both) return listeners;
    listeners.ipv6 = listen_on_loopback(AF_INET6, bound_port(listeners.ipv4.get()));
    if (!listeners.ipv6 && errno == EADDRINUSE) listeners.ipv4.reset();
    return listeners;
}

// URLs stay good over a restart: the port last used comes first, unless another one is asked for.
// A taken one is replaced: by a neighbour, or by any that is free.
Result<Listeners> listen_for(const PortUse& use, int directory,
                             std::optional<std::uint16_t> wanted) {
    const std::uint16_t remembered = remembered_port(directory, use);
    std::uint16_t first = wanted.value_or(use.standard);
    if (remembered != 0 && wanted.value_or(0) == 0) first = remembered;

    Listeners listeners = listen_on(use, first);
    const int last = first == 0 ? 0 : first + neighbouring_ports;
    for (int port = first + 1; !listeners.ipv4 && port <= last && port <= UINT16_MAX; ++port) {
        listeners = listen_on(use, static_cast<std::uint16_t>(port));
    }
    for (int tries = 0; !listeners.ipv4 && tries < neighbouring_ports; ++tries)
        listeners = listen_on(use, 0);
    if (!listeners.ipv4) {
        return refuse(
            fmt::format("No port on 127.0.0.1 can be listened on: {}.", ::strerror(errno)));
    }
    const std::uint16_t port = bound_port(listeners.ipv4.get());
    if (first != 0 && port != first) {
        note(fmt::format("port {} is taken; {} listens on {}", first, use.name, port));
    }
    if (port != remembered) remember_port(directory, use, port);
    return listeners;
}

// What a keeper holds, however it came by it.
struct Holdings {
    UniqueFd daemon_lock, api_socket, proxy_socket, shim_program;
    UniqueFd proxy_socket_ipv6 = {}, api_tcp = {}, api_tcp_ipv6 = {};  // empty: it goes without
};

// A keeper of before may have none, and its number may be something else's by now.
UniqueFd inherited_listener(int fd, int family) {
    const auto option = [fd](int name) {
        int value = 0;
        socklen_t size = sizeof value;
        return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
    };
    return UniqueFd(option(SO_DOMAIN) == family && option(SO_ACCEPTCONN) == 1 ? fd : -1);
}

Holdings take_over() {
    Holdings holdings{UniqueFd(worker_fd::daemon_lock),
                      UniqueFd(worker_fd::api_socket),
                      UniqueFd(worker_fd::proxy_socket),
                      UniqueFd(worker_fd::shim_program),
                      inherited_listener(worker_fd::proxy_socket_ipv6, AF_INET6),
                      inherited_listener(worker_fd::api_tcp, AF_INET),
                      inherited_listener(worker_fd::api_tcp_ipv6, AF_INET6)};
    for (const UniqueFd* fd : {&holdings.daemon_lock, &holdings.api_socket, &holdings.proxy_socket,
                               &holdings.shim_program, &holdings.proxy_socket_ipv6,
                               &holdings.api_tcp, &holdings.api_tcp_ipv6}) {
        ::fcntl(fd->get(), F_SETFD, FD_CLOEXEC);
    }
    return holdings;
}

// What a keeper of before did not hold.
Result<> add_missing(Holdings& holdings, int directory, const DaemonOptions& options) {
    if (!holdings.api_tcp) {
        auto listeners = listen_for(api_use, directory, options.api_port);
        if (!listeners) return pass_on(listeners);
        holdings.api_tcp = std::move(listeners->ipv4);
        holdings.api_tcp_ipv6 = std::move(listeners->ipv6);
    }
    const auto also_on_ipv6 = [](const PortUse& use, const UniqueFd& ipv4, UniqueFd& ipv6) {
        if (!ipv6) ipv6 = listen_on_ipv6(use, bound_port(ipv4.get()));
    };
    also_on_ipv6(proxy_use, holdings.proxy_socket, holdings.proxy_socket_ipv6);
    also_on_ipv6(api_use, holdings.api_tcp, holdings.api_tcp_ipv6);
    return {};
}

bool is_at(const std::string& path, const std::string& identity) {
    const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory && directory_identity(directory.get()) == identity;
}

// What clients of the original know stays with the original: a copy of its directory, beside which
// it still is, gets other ports and another API token. Whether this is such a copy, and new.
bool part_from_original(int directory, const std::string& state_directory) {
    const Instance before = read_instance(directory);
    Instance now{directory_identity(directory), state_directory, before.copy_of};
    const bool is_other = !before.directory.empty() && before.directory != now.directory;
    const bool is_copy = is_other && is_at(before.path, before.directory);
    if (is_other) now.copy_of = is_copy ? before.path : "";
    if (is_copy) {
        for (const char* name :
             {state_file::proxy_port, state_file::api_port, state_file::api_token})
            ::unlinkat(directory, name, 0);
        note(
            fmt::format("the state directory is a copy of {}, whose backends are left alone; ports "
                        "and API token are new",
                        in_quotes(before.path)));
    }
    if (!write_instance(directory, now))
        note(fmt::format("which state directory this is can't be kept: {}", ::strerror(errno)));
    return is_copy;
}

// A worker whose keeper was killed holds the lock until it is gone, a moment later.
Result<FileLock> lock_daemon(int directory, const std::string& state_directory) {
    const auto limit = std::chrono::steady_clock::now() + timeouts::daemon_lock_retry;
    for (;;) {
        FileLock lock = FileLock::try_lock(directory, state_file::daemon_lock);
        if (lock) return lock;
        if (errno != EWOULDBLOCK) {
            const std::string path = state_directory + "/" + state_file::daemon_lock;
            return refuse(
                fmt::format("The file {} can't be locked: {}.", in_quotes(path), ::strerror(errno)),
                shell_line({"ls", "-ld", state_directory, path}));
        }
        if (std::chrono::steady_clock::now() >= limit) break;
        std::this_thread::sleep_for(timeouts::daemon_lock_pause);
    }
    return refuse(fmt::format("Another daemon already runs on the state directory {}.",
                              in_quotes(state_directory)),
                  "jamsock daemon status");
}

Result<Holdings> acquire(int directory, DaemonOptions& options) {
    auto lock = lock_daemon(directory, options.state_directory);
    if (!lock) return pass_on(lock);
    if (part_from_original(directory, options.state_directory)) {
        options.proxy_port = options.proxy_port.value_or(0);
        options.api_port = options.api_port.value_or(0);
    }
    auto api_socket = listen_for_clients(directory, options.state_directory);
    if (!api_socket) return pass_on(api_socket);
    auto proxy_sockets = listen_for(proxy_use, directory, options.proxy_port);
    if (!proxy_sockets) return pass_on(proxy_sockets);
    return Holdings{lock->release(), std::move(*api_socket), std::move(proxy_sockets->ipv4),
                    UniqueFd()};
}

// A lock that keeps nobody out, and a socket that nobody finds, are replaced: what had their names
// was removed. Another daemon may have come in between, and then has them.
Result<> regain_names(Holdings& holdings, int directory, const std::string& state_directory) {
    if (!leads_to(directory, state_file::daemon_lock, holdings.daemon_lock.get())) {
        auto lock = lock_daemon(directory, state_directory);
        if (!lock) return pass_on(lock);
        holdings.daemon_lock = lock->release();
        note("daemon.lock was removed or replaced; a new one is locked");
    }
    if (::faccessat(directory, state_file::socket, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return {};
    auto socket = listen_for_clients(directory, state_directory);
    if (!socket) return pass_on(socket);
    holdings.api_socket = std::move(*socket);
    note("the daemon's socket was removed; a new one listens");
    return {};
}

Result<UniqueFd> open_shim_program() {
    const std::string shim = helper_program("jamsock-shim");
    UniqueFd program(::open(shim.c_str(), O_RDONLY | O_CLOEXEC));
    if (program && ::access(shim.c_str(), X_OK) == 0) return program;
    return refuse(
        fmt::format("The program {} can't be run: {}.", in_quotes(shim), ::strerror(errno)),
        shell_line({"ls", "-l", shim}));
}

std::vector<std::string> arguments(const DaemonOptions& options, const char* role) {
    std::vector<std::string> argv{daemon_program(), "--state-directory", options.state_directory,
                                  role};
    if (options.proxy_port) {
        argv.insert(argv.end(), {"--proxy-port", std::to_string(*options.proxy_port)});
    }
    if (options.api_port) {
        argv.insert(argv.end(), {"--api-port", std::to_string(*options.api_port)});
    }
    if (options.dev) argv.emplace_back("--dev");
    if (!options.config_file.empty())
        argv.insert(argv.end(), {"--config-file", options.config_file});
    if (options.log_to_file) argv.emplace_back("--log-to-file");
    return argv;
}

}  // namespace

Result<int> keep(DaemonOptions options) {
    ::umask(0077);
    auto directory = open_state_directory(options.state_directory);
    if (!directory) return pass_on(directory);
    if (options.log_to_file) {
        if (auto logging = log_to_file(directory->get()); !logging) return pass_on(logging);
    }
    // Before anything is made or bound: without it no backend can be started.
    auto shim_program = open_shim_program();
    if (!shim_program && !options.taken_over) return pass_on(shim_program);
    // A daemon that runs goes on, whatever became of its settings.
    const auto settings = Configuration::read(options.config_file);
    if (!settings && !options.taken_over) {
        return refuse(settings.error().message, settings.error().hint);
    }
    if (!options.taken_over) remember_born_children();
    Result<Holdings> holdings =
        options.taken_over ? take_over() : acquire(directory->get(), options);
    if (!holdings) return pass_on(holdings);
    if (options.taken_over) {
        auto regained = regain_names(*holdings, directory->get(), options.state_directory);
        if (!regained) return pass_on(regained);
    }
    if (auto added = add_missing(*holdings, directory->get(), options); !added) {
        return pass_on(added);
    }
    if (shim_program) {
        holdings->shim_program = std::move(*shim_program);
    } else {
        note(shim_program.error().message + " Backends get the shim of before.");
    }

    KeeperPlan plan;
    plan.daemon_lock = holdings->daemon_lock.get();
    plan.api_socket = holdings->api_socket.get();
    plan.proxy_socket = holdings->proxy_socket.get();
    plan.shim_program = holdings->shim_program.get();
    plan.proxy_socket_ipv6 = holdings->proxy_socket_ipv6.get();
    plan.api_tcp = holdings->api_tcp.get();
    plan.api_tcp_ipv6 = holdings->api_tcp_ipv6.get();
    plan.ready = options.ready_fd;
    if (options.log_to_file) plan.log_directory = directory->get();
    plan.worker_argv = arguments(options, "--worker");
    plan.restart_argv = arguments(options, "--take-over");
    const int code = run_keeper(plan);
    // Else the socket is another daemon's.
    if (leads_to(directory->get(), state_file::daemon_lock, plan.daemon_lock)) {
        ::unlinkat(directory->get(), state_file::socket, 0);
    }
    return code;
}

}  // namespace jamsock
