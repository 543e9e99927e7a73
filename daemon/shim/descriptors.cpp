#include "daemon/shim/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace jamsock {

namespace {

constexpr int first_beyond_standard = 3;
constexpr long long blind_pause = 100;  // milliseconds

void close_from_to(int first, unsigned last) {
    if (static_cast<unsigned>(first) <= last) ::close_range(static_cast<unsigned>(first), last, 0);
}

}  // namespace

void fill_standard_streams() {
    int fd;
    do {
        fd = ::open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < first_beyond_standard);
    if (fd >= 0) ::close(fd);
}

void close_all_but(std::initializer_list<int> kept) {
    int next = first_beyond_standard;
    for (const int fd : kept) {
        if (fd < next) continue;
        close_from_to(next, static_cast<unsigned>(fd - 1));
        next = fd + 1;
    }
    close_from_to(next, UINT_MAX);
}

unsigned wait_for_input(std::span<const int> fds, long long limit) {
    fd_set readable;
    FD_ZERO(&readable);
    int beyond = 0;
    for (const int fd : fds) {
        if (fd < 0 || fd >= FD_SETSIZE) continue;
        FD_SET(fd, &readable);
        beyond = std::max(beyond, fd + 1);
    }
    timeval pause{limit / 1000, limit % 1000 * 1000};
    const int count = ::select(beyond, &readable, nullptr, nullptr, limit < 0 ? nullptr : &pause);
    const bool is_blind = count < 0 && errno != EINTR;
    if (is_blind) {
        const long long milliseconds = limit < 0 ? blind_pause : std::min(limit, blind_pause);
        const timespec moment{0, static_cast<long>(milliseconds) * 1'000'000};
        ::nanosleep(&moment, nullptr);
    }
    unsigned bits = 0;
    for (std::size_t i = 0; i < fds.size(); ++i) {
        const bool is_set = count > 0 && fds[i] >= 0 && FD_ISSET(fds[i], &readable);
        if (is_set || (is_blind && fds[i] >= 0)) bits |= 1U << i;
    }
    return bits;
}

void ignore_signals_but(std::initializer_list<int> kept) {
    for (int signal = 1; signal < NSIG; ++signal) {
        if (std::ranges::find(kept, signal) == kept.end()) ::signal(signal, SIG_IGN);
    }
}

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal)
        ::signal(signal, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

UniqueFd take_signals(std::initializer_list<int> signals) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals)
        ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    // An ignored SIGCHLD, which exec hands down, would have the kernel reap our children unseen.
    for (const int signal : signals)
        ::signal(signal, SIG_DFL);
    return UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int next_signal(int signal_fd, pid_t* sender) {
    signalfd_siginfo info;
    if (::read(signal_fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
    if (sender) *sender = info.ssi_code == SI_USER ? static_cast<pid_t>(info.ssi_pid) : 0;
    return static_cast<int>(info.ssi_signo);
}

void die_with_parent(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(EXIT_FAILURE);
}

long long boottime_milliseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<long long>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace jamsock
