#include "cli/child_process.h"

#include <errno.h>
#include <fmt/format.h>
#include <spawn.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets to say so itself
#include <sys/pidfd.h>
}

#include <array>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::array caught_signals{SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                    SIGUSR2, SIGALRM, SIGPWR,  SIGCONT, SIGWINCH};
constexpr std::chrono::milliseconds look_pause{100};

// What a terminal sends to all that run in front of it. Others come from the kernel, too: an alarm
// that was set before this program was run.
bool is_of_keyboard(int signal) {
    return signal == SIGINT || signal == SIGQUIT || signal == SIGWINCH;
}

bool tells_to_end(int signal) {
    return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
}

std::vector<char*> ended_by_null(std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words)
        list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

tl::unexpected<Error> not_started(const std::string& program, int error) {
    const bool lacks_room = error == EAGAIN || error == ENOMEM || error == EMFILE;
    return fail(
        lacks_room ? ErrorCode::internal : ErrorCode::program_not_runnable,
        fmt::format("The program {} can't be run: {}.", in_quotes(program), ::strerror(error)));
}

}  // namespace

// An ignored SIGCHLD, as some callers leave it, would take the child's exit code away.
CaughtSignals::CaughtSignals() {
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : caught_signals)
        ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, &mask_before_);
    fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

CaughtSignals::~CaughtSignals() {
    while (next())
        continue;
    ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool CaughtSignals::ask_for_end() {
    bool to_end = false;
    while (const auto signal = next())
        to_end = to_end || tells_to_end(signal->number);
    return to_end;
}

std::optional<CaughtSignals::Signal> CaughtSignals::next() {
    signalfd_siginfo signal;
    if (::read(fd_.get(), &signal, sizeof signal) != sizeof signal) return std::nullopt;
    const auto number = static_cast<int>(signal.ssi_signo);
    return Signal{number, signal.ssi_code == SI_KERNEL && is_of_keyboard(number)};
}

Result<ChildProcess> ChildProcess::start(const std::string& program, std::vector<std::string> words,
                                         std::vector<std::string> environment,
                                         const CaughtSignals& caught) {
    if (caught.fd() < 0) return not_started(program, EMFILE);  // nobody could end it
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &caught.mask_before());
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), nullptr, &attributes,
                                    ended_by_null(words).data(), ended_by_null(environment).data());
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) return not_started(program, error);
    return ChildProcess(pid, UniqueFd(::pidfd_open(pid, 0)));
}

Deadline ChildProcess::next_look() const {
    return pidfd_ ? Deadline::max() : deadline_in(look_pause);
}

std::optional<int> ChildProcess::pass_on(CaughtSignals& signals) const {
    std::optional<int> end;
    while (const auto signal = signals.next()) {
        if (tells_to_end(signal->number)) end = signal->number;
        if (!signal->by_terminal)
            ::kill(pid_, signal->number);  // not waited for yet: no other's pid
    }
    return end;
}

std::optional<int> ChildProcess::exit_code() const {
    siginfo_t end{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG) != 0 || end.si_pid == 0)
        return std::nullopt;
    return end.si_code == CLD_EXITED ? end.si_status : signal_exit_code + end.si_status;
}

}  // namespace jamsock
