#include "daemon/shim/descriptors.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace jamsock {

namespace {

constexpr int first_beyond_standard = 3;

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

int next_signal(int signal_fd) {
    signalfd_siginfo info;
    if (::read(signal_fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
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
