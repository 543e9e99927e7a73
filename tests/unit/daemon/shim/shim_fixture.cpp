#include "tests/unit/daemon/shim/shim_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>

#ifndef JAMSOCK_SHIM_PROGRAM
#define JAMSOCK_SHIM_PROGRAM JAMSOCK_BUILD_DIR "/libexec/jamsock/jamsock-shim"
#endif

namespace jamsock::test {

namespace {

UniqueFd open_directory(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_DIRECTORY | O_CLOEXEC));
}

UniqueFd in_memory(const std::string& bytes) {
    UniqueFd memory(::memfd_create("spec", MFD_CLOEXEC));
    REQUIRE(::write(memory.get(), bytes.data(), bytes.size()) ==
            static_cast<ssize_t>(bytes.size()));
    return memory;
}

[[noreturn]] void become_shim(const std::array<int, 6>& passed) {
    std::array<int, 6> copies{};
    for (std::size_t i = 0; i < passed.size(); ++i)
        copies[i] = ::fcntl(passed[i], F_DUPFD, 20);
    for (std::size_t i = 0; i < passed.size(); ++i) {
        ::dup2(copies[i], shim_fd::channel + static_cast<int>(i));
    }
    if (passed.back() < 0) ::close(shim_fd::listener);
    ::close_range(shim_fd::listener + 1, ~0U, 0);
    ::setsid();
    ::signal(SIGCHLD, SIG_IGN);  // what a careless parent hands down must not matter
    ::execl(JAMSOCK_SHIM_PROGRAM, "jamsock-shim", "test", nullptr);
    ::_exit(99);
}

}  // namespace

std::optional<Message> Channel::receive() {
    pollfd polled{socket_.get(), POLLIN, 0};
    const auto limit = std::chrono::milliseconds(patience).count();
    if (::poll(&polled, 1, static_cast<int>(limit)) != 1) return std::nullopt;
    char bytes[4096];
    const ssize_t length = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (length <= 0) return std::nullopt;
    return Message::decode(std::string_view(bytes, static_cast<std::size_t>(length)));
}

Message Channel::expect(std::string_view verb) {
    while (const auto message = receive()) {
        if (message->verb() == verb) return *message;
    }
    const std::string wanted(verb);
    FAIL("no message came: " << wanted);
    return Message("");
}

bool Channel::is_closed() {
    while (receive())
        continue;
    char byte;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

void Channel::send(const Message& message) {
    send_bytes(message.encode());
}

void Channel::send_bytes(const std::string& bytes) {
    REQUIRE(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

ShimHome::ShimHome() {
    std::filesystem::create_directories(path("locks"));
    std::filesystem::create_directories(path("backends"));
}

std::string ShimHome::make_backend_directory(const std::string& id) const {
    std::filesystem::create_directory(path("backends/" + id));
    return path("backends/" + id);
}

ShimSpec ShimHome::spec(const std::string& script, const std::string& id) const {
    return {.backend_id = id,
            .lock_name = "lock",
            .fencing_token = 1000,
            .argv = {"/bin/sh", "-c", script, "sh", directory_.path()},
            .env = {"PATH=/usr/bin:/bin"},
            .cwd = "/",
            .grace_milliseconds = 10'000};
}

RunningShim::RunningShim(const ShimHome& home, const ShimSpec& spec, int listener)
    : channel(UniqueFd()), directory_(home.make_backend_directory(spec.backend_id)) {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0);
    channel = Channel(UniqueFd(pair[0]));
    const UniqueFd theirs(pair[1]);
    spawn(home, spec, theirs.get(), listener);
}

RunningShim RunningShim::started(const ShimHome& home, const ShimSpec& spec, int listener) {
    RunningShim shim(home, spec, listener);
    shim.channel.expect("locked");
    shim.go();
    return shim;
}

RunningShim::RunningShim(RunningShim&& other) noexcept
    : channel(std::move(other.channel)),
      directory_(std::move(other.directory_)),
      pid_(std::exchange(other.pid_, 0)),
      main_pid_(std::exchange(other.main_pid_, 0)) {
}

// The shim ends its backend; a shim that can't takes it with it by the parent-death signal.
RunningShim::~RunningShim() {
    if (pid_ == 0) return;
    for (const Process& process : descendants(all_processes(), pid_)) {
        signal_process(process, SIGKILL);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void RunningShim::spawn(const ShimHome& home, const ShimSpec& spec, int their_end, int listener) {
    const UniqueFd specification = in_memory(spec.encode());
    const UniqueFd directory = open_directory(directory_);
    const UniqueFd locks = open_directory(home.path("locks"));
    const UniqueFd program(::open(JAMSOCK_SHIM_PROGRAM, O_PATH | O_CLOEXEC));
    REQUIRE(program);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
        become_shim({their_end, specification.get(), directory.get(), locks.get(), program.get(),
                     listener});
    }
}

Message RunningShim::go() {
    channel.send(Message("go"));
    Message started = channel.expect("started");
    main_pid_ = static_cast<pid_t>(started.number("pid").value_or(0));
    return started;
}

Channel RunningShim::connect() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    file("shim.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return Channel(std::move(socket));
}

std::optional<ShimRecord> RunningShim::record() const {
    return read_record(open_directory(directory_).get());
}

void RunningShim::kill() {
    ::kill(pid_, SIGKILL);
    wait();
}

int RunningShim::wait() {
    int status = 0;
    REQUIRE(eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }));
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Message terminate(const char* kind, const char* reason, std::int64_t grace_ms) {
    Message request("terminate");
    request.add("kind", kind).add("reason", reason).add("grace_ms", grace_ms);
    return request;
}

bool is_alive(pid_t pid) {
    const auto process = read_process(pid);
    return process && !process->is_zombie();
}

}  // namespace jamsock::test
