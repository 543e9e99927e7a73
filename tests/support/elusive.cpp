#include "tests/support/elusive.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace jamsock::test {

namespace {

constexpr const char* role_argument =
    "--be-elusive";  // KIND NAME RESOURCE JOURNAL READY-DESCRIPTOR
constexpr int argument_count = 7;
constexpr std::array kinds{"headless", "undumpable", "storm"};
constexpr std::chrono::seconds storm_life{60};  // of all its processes
constexpr int stormy_life = 2;                  // milliseconds of one of them
constexpr unsigned longest_life = 300;          // seconds; where a broken promise leaves one behind

[[noreturn]] void sleep_for_ever() {
    for (;;)
        ::pause();
}

void close_all_but(int fd) {
    ::close_range(0, static_cast<unsigned>(fd) - 1, 0);
    ::close_range(static_cast<unsigned>(fd) + 1, ~0U, 0);
}

[[noreturn]] void storm() {
    const auto end = std::chrono::steady_clock::now() + storm_life;
    while (std::chrono::steady_clock::now() < end) {
        if (::fork() != 0) ::_exit(0);
        ::setsid();
        ::poll(nullptr, 0, stormy_life);
    }
    ::_exit(0);
}

[[noreturn]] void leave_to_a_thread(int ready) {
    const pthread_t main = ::pthread_self();
    std::thread([main, ready] {
        ::pthread_join(main, nullptr);
        ::close(ready);
        sleep_for_ever();
    }).detach();
    ::pthread_exit(nullptr);
}

}  // namespace

std::optional<std::string> elusive_kind(std::string_view option) {
    constexpr std::string_view prefix = "--fork-";
    if (!option.starts_with(prefix)) return std::nullopt;
    const std::string kind(option.substr(prefix.size()));
    if (std::ranges::find(kinds, kind) == kinds.end()) return std::nullopt;
    return kind;
}

void fork_elusive(const Elusive& elusive, const std::string& resource, const std::string& journal) {
    fork_twice([&](int ready) {
        const std::string descriptor = std::to_string(ready);
        const std::array<const char*, argument_count + 1> argv{
            "elusive",        role_argument,   elusive.kind.c_str(), elusive.name.c_str(),
            resource.c_str(), journal.c_str(), descriptor.c_str(),   nullptr};
        ::execv("/proc/self/exe", const_cast<char* const*>(argv.data()));
        die("exec");
    });
}

bool is_elusive(int argc, char** argv) {
    return argc == argument_count && std::string_view(argv[1]) == role_argument;
}

void be_elusive(char** argv) {
    const std::string kind = argv[2], resource = argv[4];
    const int ready = ::atoi(argv[6]);
    ::signal(SIGTERM, SIG_IGN);
    close_all_but(ready);
    if (!resource.empty()) {
        const char* token = ::getenv("SESSION_BACKEND_FENCING_TOKEN");
        const Journal journal(argv[5], token ? token : "0", kind);
        journal.lock_own(resource);
        journal.write("start");
    }
    ::alarm(longest_life);
    if (kind == "headless") leave_to_a_thread(ready);
    if (kind == "undumpable") ::prctl(PR_SET_DUMPABLE, 0);
    ::close(ready);
    if (kind == "storm") storm();
    sleep_for_ever();
}

}  // namespace jamsock::test
