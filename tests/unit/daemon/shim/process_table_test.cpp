#include "daemon/shim/process_table.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "common/unique_fd.h"
#include "tests/support/headless.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

std::string stat_with_name(const std::string& name) {
    return "77 (" + name +
           ") S 5 76 75 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0 184467 0 0 0\n";
}

// A child that waits to be killed; reaped at its end.
class Sleeper {
  public:
    explicit Sleeper(const char* name) {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        const UniqueFd reader(ready[0]);
        UniqueFd writer(ready[1]);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::signal(SIGTERM, SIG_DFL);  // not the test program's handler
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::prctl(PR_SET_NAME, name);
            writer.reset();
            for (;;)
                ::pause();
        }
        writer.reset();
        char byte;
        REQUIRE(::read(reader.get(), &byte, 1) == 0);
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    ~Sleeper() {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        reap();
    }

    pid_t pid() const { return pid_; }
    int reap() {
        int status = 0;
        if (pid_ > 0) ::waitpid(std::exchange(pid_, 0), &status, 0);
        return status;
    }

  private:
    pid_t pid_ = 0;
};

Process made(pid_t pid, pid_t parent, char state = 'S') {
    Process process;
    process.pid = pid;
    process.parent = parent;
    process.state = state;
    return process;
}

}  // namespace

TEST_CASE("stat is read whatever the program calls itself") {
    for (const char* name : {"sh", "a b", ") S 1 1 1 (", "(((", ")))", "line\nbreak", ""}) {
        CAPTURE(name);
        const auto process = parse_process_stat(stat_with_name(name));
        REQUIRE(process);
        CHECK(process->pid == 77);
        CHECK(process->state == 'S');
        CHECK(process->parent == 5);
        CHECK(process->group == 76);
        CHECK(process->session == 75);
        CHECK(process->start_time == 123456);
    }
}

TEST_CASE("a stat that is cut off or no stat at all gives no process") {
    const std::string good = stat_with_name("sh");
    const std::size_t after_start_time = good.find("123456") + 6;
    for (std::size_t length = 0; length < after_start_time - 6; ++length) {
        CAPTURE(length);
        CHECK(!parse_process_stat(good.substr(0, length)));
    }
    CHECK(parse_process_stat(good.substr(0, after_start_time)));
    CHECK(!parse_process_stat("x (sh) S 1 1 1"));
    CHECK(!parse_process_stat(") ("));
}

TEST_CASE("a real process with a nasty name is read and listed") {
    const Sleeper sleeper(") R 1 (\n x");
    const auto process = read_process(sleeper.pid());
    REQUIRE(process);
    CHECK(process->parent == ::getpid());
    CHECK(process->session == ::getsid(0));
    CHECK(process->group == ::getpgrp());
    const auto all = all_processes();
    const auto listed = std::ranges::find(all, sleeper.pid(), &Process::pid);
    REQUIRE(listed != all.end());
    CHECK(listed->start_time == process->start_time);
    CHECK(std::ranges::count(descendants(all, ::getpid()), sleeper.pid(), &Process::pid) == 1);
}

TEST_CASE("one whose first thread has ended runs as long as another thread does") {
    const std::string running =
        "77 (sh) Z 5 76 75 0 -1 4194564 1 0 0 0 0 0 0 0 20 0 2 0 123456 0 0 1 0 0 0\n";
    const auto process = parse_process_stat(running);
    REQUIRE(process);
    CHECK_FALSE(process->is_zombie());
    CHECK(process->is_exiting);
    CHECK(parse_process_stat(stat_with_name("sh"))->threads == 1);
    CHECK_FALSE(parse_process_stat(stat_with_name("sh"))->is_exiting);
    CHECK(made(2, 1, 'Z').is_zombie());
    CHECK(made(2, 1, 'X').is_zombie());
}

TEST_CASE("descriptors and environment of a process without its first thread are found") {
    const Headless headless;
    const auto process = read_process(headless.pid());
    REQUIRE(process);
    CHECK(process->state == 'Z');
    CHECK_FALSE(process->is_zombie());
    const std::string directory = process_directory(headless.pid());
    CHECK(directory.find("/task/") != std::string::npos);
    std::ifstream environment(directory + "/environ");
    CHECK(environment.get() != std::ifstream::traits_type::eof());
    CHECK(signal_process(*process, SIGKILL));
    CHECK(process_directory(::getpid()) == "/proc/" + std::to_string(::getpid()));
}

TEST_CASE("descendants are all below the root, without it and its siblings") {
    const std::vector<Process> all{made(1, 0),   made(10, 1),       made(11, 1),  made(30, 20),
                                   made(20, 10), made(31, 20, 'Z'), made(40, 30), made(50, 11)};
    std::vector<pid_t> pids;
    for (const Process& process : descendants(all, 10))
        pids.push_back(process.pid);
    std::ranges::sort(pids);
    CHECK(pids == std::vector<pid_t>{20, 30, 31, 40});
    CHECK(descendants(all, 50).empty());
}

TEST_CASE("a circle through the root is not followed for ever") {
    CHECK(descendants({made(10, 20), made(20, 10)}, 10).size() == 1);
}

TEST_CASE("a signal reaches only the process that was meant") {
    Sleeper sleeper("sleeper");
    const auto process = read_process(sleeper.pid());
    REQUIRE(process);
    Process earlier = *process;
    earlier.start_time -= 1;
    CHECK(!signal_process(earlier, SIGKILL));
    CHECK(read_process(sleeper.pid())->state != 'Z');
    CHECK(signal_process(*process, SIGTERM));
    CHECK(WTERMSIG(sleeper.reap()) == SIGTERM);
    CHECK(!signal_process(*process, SIGKILL));
    CHECK(!read_process(process->pid));
}

TEST_CASE("what forks a child and ends, on and on, is in every look at all processes") {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t first = ::fork();
    if (first == 0) {
        for (int i = 0; i < 20'000; ++i) {
            if (::fork() != 0) ::_exit(0);
            ::usleep(500);
        }
        ::_exit(0);
    }
    const auto reap = [] {
        pid_t pid;
        while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0)
            continue;
        return pid < 0;
    };
    int missed = 0;
    for (int look = 0; look < 20; ++look) {
        const auto below = descendants(all_processes(), ::getpid());
        if (std::ranges::all_of(below, &Process::is_zombie)) ++missed;
        reap();
    }
    CHECK(missed == 0);
    while (!reap()) {
        for (const Process& process : descendants(all_processes(), ::getpid()))
            signal_process(process, SIGKILL);
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}
