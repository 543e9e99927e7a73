#include "cli/daemon_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets to say so itself
#include <sys/pidfd.h>
}

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "common/environment.h"
#include "common/file_lock.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto starter_pause = 10ms;  // between looks at a daemon that somebody else starts
constexpr int ready_fd = 3;           // where a daemon finds its end of the ready pipe
constexpr std::string_view ready_word = "ready\n";
constexpr std::string_view shim_name = "jamsock-shim";

Error unavailable(std::string sentence, std::string hint = "jamsock daemon logs") {
    return Error{ErrorCode::daemon_unavailable, std::move(sentence), std::move(hint), {}};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words)
        list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

// What a daemon gets: its arguments, and of the environment only what carries no one's secrets.
struct DaemonCall {
    std::vector<std::string> words;
    std::vector<std::string> variables;

    explicit DaemonCall(const DaemonPlace& place)
        : words{"jamsockd", "--state-directory", place.state_directory} {
        if (place.proxy_port) words.insert(words.end(), {"--proxy-port", *place.proxy_port});
        if (place.api_port) words.insert(words.end(), {"--api-port", *place.api_port});
        if (!place.config_file.empty())
            words.insert(words.end(), {"--config-file", place.config_file});
        for (const auto& [name, value] : base_environment())
            variables.push_back(name + "=" + value);
    }
};

// The settings of posix_spawn for a daemon: session and signals of its own, streams to nowhere,
// the ready pipe at its number and nothing else open.
class DaemonSpawnSettings {
  public:
    explicit DaemonSpawnSettings(int ready_pipe) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_adddup2(&actions_, ready_pipe, ready_fd);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, ready_fd + 1);
        ::posix_spawn_file_actions_addchdir_np(&actions_, "/");
        ::posix_spawnattr_init(&attributes_);
        sigset_t set;
        ::sigemptyset(&set);
        ::posix_spawnattr_setsigmask(&attributes_, &set);
        ::sigfillset(&set);
        ::posix_spawnattr_setsigdefault(&attributes_, &set);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    DaemonSpawnSettings(const DaemonSpawnSettings&) = delete;
    DaemonSpawnSettings& operator=(const DaemonSpawnSettings&) = delete;
    ~DaemonSpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    int spawn(const std::string& program, DaemonCall& call) const {
        pid_t ignored = 0;
        return ::posix_spawn(&ignored, program.c_str(), &actions_, &attributes_,
                             pointers(call.words).data(), pointers(call.variables).data());
    }

  private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

// Starts the daemon as no child of this process, so that nobody has to wait for it. A failure to
// run it comes through the pipe like the daemon's own last words.
Result<> spawn_daemon(const DaemonPlace& place, int ready_pipe) {
    DaemonCall call(place);
    call.words.insert(call.words.end(), {"--log-to-file", "--ready-fd", std::to_string(ready_fd)});
    const DaemonSpawnSettings settings(ready_pipe);
    const pid_t between = ::fork();
    if (between < 0) {
        return tl::unexpected(
            unavailable(fmt::format("The daemon can't be started: {}.", ::strerror(errno))));
    }
    if (between == 0) {
        const int error = settings.spawn(place.program, call);
        if (error != 0) {
            const std::string words = fmt::format("The daemon's program {} can't be run: {}.\n{}\n",
                                                  in_quotes(place.program), ::strerror(error),
                                                  shell_line({"ls", "-l", place.program}));
            if (::write(ready_pipe, words.data(), words.size()) < 0) ::_exit(1);
        }
        ::_exit(0);
    }
    while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
    }
    return {};
}

// What the daemon writes to the pipe until it says it is ready, closes it, or the deadline passes.
struct DaemonWords {
    std::string text;
    bool late = false;
};

DaemonWords listen_to(int pipe, Deadline deadline) {
    DaemonWords heard;
    char buffer[4096];
    while (heard.text != ready_word) {
        heard.late = !wait_for_event(pipe, POLLIN, deadline);
        if (heard.late) break;
        const ssize_t got = ::read(pipe, buffer, sizeof buffer);
        if (got <= 0) break;
        heard.text.append(buffer, static_cast<std::size_t>(got));
    }
    return heard;
}

// "sentence\nhint\n" as an error; either may be missing.
Error last_words(const DaemonWords& heard) {
    if (heard.late) return unavailable("The daemon was started and isn't ready yet.");
    const auto end = heard.text.find('\n');
    const std::string sentence = heard.text.substr(0, end);
    std::string hint = end == std::string::npos ? "" : heard.text.substr(end + 1);
    hint.resize(std::min(hint.size(), hint.find('\n')));
    Error error = unavailable(sentence.empty() ? "The daemon ended while it started." : sentence);
    if (!hint.empty()) error.hint = hint;
    return error;
}

Result<> start_daemon(const DaemonPlace& place, Deadline deadline) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return tl::unexpected(
            unavailable(fmt::format("The daemon can't be started: {}.", ::strerror(errno))));
    }
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    if (auto spawned = spawn_daemon(place, writing.get()); !spawned) return spawned;
    writing.reset();
    const DaemonWords heard = listen_to(reading.get(), deadline);
    if (heard.text == ready_word) return {};
    return tl::unexpected(last_words(heard));
}

Result<ReachedDaemon> start_and_connect(const DaemonPlace& place, int directory_fd,
                                        Deadline deadline) {
    if (auto started = start_daemon(place, deadline); !started) return pass_on(started);
    auto client = DaemonClient::open(directory_fd);
    if (!client) return pass_on(client);
    if (*client) return ReachedDaemon{std::move(*client), true};
    return tl::unexpected(unavailable("The daemon was ready and is gone again."));
}

// Nobody answers: takes the starters' lock and starts the daemon, or waits for who has the lock.
Result<ReachedDaemon> start_once(const DaemonPlace& place, int directory_fd, Deadline deadline) {
    for (;;) {
        errno = 0;
        const FileLock lock = FileLock::try_lock(directory_fd, state_file::start_lock);
        const int error = errno;
        if (!lock && error != EWOULDBLOCK) {
            return tl::unexpected(unavailable(
                fmt::format("The file {} in {} can't be locked: {}.", state_file::start_lock,
                            in_quotes(place.state_directory), ::strerror(error)),
                shell_line({"ls", "-ld", place.state_directory,
                            place.state_directory + "/" + state_file::start_lock})));
        }
        auto client = DaemonClient::open(directory_fd, timeouts::client_answer, deadline);
        if (!client) return pass_on(client);
        if (*client) return ReachedDaemon{std::move(*client), false};
        if (lock) return start_and_connect(place, directory_fd, deadline);
        if (std::chrono::steady_clock::now() >= deadline) {
            return tl::unexpected(unavailable("Another command starts the daemon and isn't done."));
        }
        std::this_thread::sleep_for(starter_pause);
    }
}

bool names_backends(int directory_fd) {
    std::error_code none;
    return fs::directory_iterator(path_in(directory_fd, state_file::backends), none) !=
           fs::directory_iterator();
}

bool may_start(StartRule rule, int directory_fd) {
    if (rule == StartRule::if_backends_live) return names_backends(directory_fd);
    return rule == StartRule::always;
}

// A daemon that runs makes a socket that was removed anew, within a second or two. Empty where no
// daemon holds the lock, or none answers.
Result<std::optional<DaemonClient>> wait_for_lost_socket(int directory_fd, Deadline deadline) {
    const Deadline limit =
        std::min<Deadline>(deadline, std::chrono::steady_clock::now() + timeouts::lost_socket);
    for (;;) {
        const UniqueFd lock(
            ::openat(directory_fd, state_file::daemon_lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        const bool runs = lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0;
        auto client = DaemonClient::open(directory_fd, timeouts::client_answer, deadline);
        if (!client || *client || !runs || std::chrono::steady_clock::now() >= limit) return client;
        std::this_thread::sleep_for(starter_pause);
    }
}

Result<> refuse_inside_backend() {
    if (!inside_backend()) return {};
    return tl::unexpected(unavailable("The daemon isn't running; start it outside this backend.",
                                      "jamsock daemon start"));
}

struct ProcessName {
    std::string command;
    pid_t parent = 0;
};

// Of /proc/<pid>/stat, "pid (command) state parent …"; the command may hold spaces and brackets.
ProcessName process_name(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto open = text.find('(');
    const auto close = text.rfind(") ");
    long long parent = 0;
    if (open == std::string::npos || close == std::string::npos || close + 4 > text.size())
        return {};
    const std::string rest = text.substr(close + 4);
    parse_number(rest.substr(0, rest.find(' ')), parent);
    return {text.substr(open + 1, close - open - 1), static_cast<pid_t>(parent)};
}

bool is_shim(pid_t pid, const ProcessName& name) {
    std::error_code unreadable;
    const fs::path program = fs::read_symlink(fmt::format("/proc/{}/exe", pid), unreadable);
    return name.command == shim_name || program.filename().string().starts_with(shim_name);
}

Result<std::optional<std::string>> port_variable(const char* name, int usual) {
    auto port = environment_variable(name);
    long long number = 0;
    if (!port || (parse_number(*port, number) && number <= 65535)) return port;
    return fail(ErrorCode::invalid_request,
                fmt::format("{} is {}, which is no port.", name, in_quotes(*port)),
                fmt::format("export {}={}", name, usual));
}

}  // namespace

Result<DaemonPlace> DaemonPlace::from_environment() {
    auto directory = state_directory_path();
    if (!directory) return pass_on(directory);
    auto proxy_port = port_variable("JAMSOCK_PROXY_PORT", 9090);
    if (!proxy_port) return pass_on(proxy_port);
    auto api_port = port_variable("JAMSOCK_API_PORT", 8080);
    if (!api_port) return pass_on(api_port);
    return DaemonPlace{.state_directory = std::move(*directory),
                       .program = daemon_program(),
                       .proxy_port = std::move(*proxy_port),
                       .api_port = std::move(*api_port),
                       .config_file = configuration_path()};
}

Result<ReachedDaemon> reach_daemon(const DaemonPlace& place, StartRule rule, Deadline deadline) {
    auto directory = rule == StartRule::always
                         ? open_state_directory(place.state_directory)
                         : open_existing_state_directory(place.state_directory);
    if (!directory) return pass_on(directory);
    if (!*directory) return ReachedDaemon{};
    auto client = DaemonClient::open(directory->get(), timeouts::client_answer, deadline);
    if (!client) return pass_on(client);
    if (!*client) client = wait_for_lost_socket(directory->get(), deadline);
    if (!client) return pass_on(client);
    if (*client) return ReachedDaemon{std::move(*client), false};
    if (!may_start(rule, directory->get())) return ReachedDaemon{};
    if (auto outside = refuse_inside_backend(); !outside) return pass_on(outside);
    const Deadline limit = std::chrono::steady_clock::now() + timeouts::daemon_start;
    return start_once(place, directory->get(), std::min(deadline, limit));
}

bool inside_backend() {
    return environment_variable("SESSION_BACKEND_ID") || has_shim_ancestor(::getpid());
}

bool has_shim_ancestor(pid_t pid) {
    for (pid_t at = process_name(pid).parent; at > 1;) {
        const ProcessName name = process_name(at);
        if (is_shim(at, name)) return true;
        at = name.parent;
    }
    return false;
}

Result<> become_daemon(const DaemonPlace& place) {
    if (auto outside = refuse_inside_backend(); !outside) return outside;
    DaemonCall call(place);
    ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(place.program.c_str(), pointers(call.words).data(), pointers(call.variables).data());
    return tl::unexpected(unavailable(fmt::format("The daemon's program {} can't be run: {}.",
                                                  in_quotes(place.program), ::strerror(errno)),
                                      ""));
}

Result<KeeperProcess> KeeperProcess::of(const DaemonPlace& place, const DaemonClient& client) {
    const pid_t pid = client.keeper_pid();
    UniqueFd pidfd(pid > 0 ? ::pidfd_open(pid, 0) : -1);
    const auto directory = open_existing_state_directory(place.state_directory);
    // The same process still listens, so the handle was opened on it and on no later one.
    const auto again =
        directory ? DaemonClient::open(directory->get()) : tl::unexpected(directory.error());
    if (pidfd && again && *again && (*again)->keeper_pid() == pid) {
        return KeeperProcess(std::move(pidfd));
    }
    return tl::unexpected(unavailable("The daemon's process can't be told from its socket."));
}

Result<> KeeperProcess::signal(int number) const {
    if (::pidfd_send_signal(pidfd_.get(), number, nullptr, 0) == 0 || errno == ESRCH) return {};
    return tl::unexpected(
        unavailable(fmt::format("The daemon can't be signalled: {}.", ::strerror(errno))));
}

bool KeeperProcess::wait_for_end(Deadline deadline) const {
    return wait_for_event(pidfd_.get(), POLLIN, deadline);
}

}  // namespace jamsock
