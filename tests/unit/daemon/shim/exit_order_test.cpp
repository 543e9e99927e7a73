// In which order a shim does things when its backend's main process ends, as the kernel sees it.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <string>

#include "tests/unit/daemon/shim/shim_fixture.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// What a traced process asks of the kernel next, of what matters here: "say" or "sync". Empty: it
// has ended.
std::string next_act(pid_t pid) {
    for (;;) {
        int status = 0;
        if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return {};
        __ptrace_syscall_info call{};
        const bool is_call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        const int signal = is_call || status >> 16 != 0 ? 0 : WSTOPSIG(status);
        if (is_call) ::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof call, &call);
        ::ptrace(PTRACE_SYSCALL, pid, 0, signal);
        if (call.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
        if (call.entry.nr == SYS_sendto) return "say";
        if (call.entry.nr == SYS_fdatasync || call.entry.nr == SYS_fsync) return "sync";
    }
}

}  // namespace

TEST_CASE("a shim says that the main process has exited before it waits for the disk") {
    const ShimHome home;
    RunningShim shim = RunningShim::started(home, home.spec("sleep 1000"));
    REQUIRE(::ptrace(PTRACE_SEIZE, shim.pid(), 0, PTRACE_O_TRACESYSGOOD) == 0);
    REQUIRE(::ptrace(PTRACE_INTERRUPT, shim.pid(), 0, 0) == 0);
    ::kill(shim.main_pid(), SIGKILL);
    CHECK(next_act(shim.pid()) == "say");
    CHECK(shim.channel.expect("exited").number("signal") == SIGKILL);
    CHECK(next_act(shim.pid()) == "sync");
    while (!next_act(shim.pid()).empty()) {
    }
}
