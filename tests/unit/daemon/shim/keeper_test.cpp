#include "daemon/shim/keeper.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <sstream>

#include "daemon/shim/descriptors.h"
#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

bool is_alive(pid_t pid) {
    const auto process = read_process(pid);
    return process && !process->is_zombie();
}

// As the program `sleep`, done with loading.
bool sleeps(pid_t pid) {
    const auto process = read_process(pid);
    return process && process->state == 'S' &&
           content_of("/proc/" + std::to_string(pid) + "/comm") == "sleep\n";
}

// A keeper in a process of its own; each worker appends its pid to the file `workers` before
// `script`.
class RunningKeeper {
  public:
    explicit RunningKeeper(const std::string& script,
                           const std::string& restart_script = "exit 1") {
        plan_.worker_program = "/bin/sh";
        plan_.worker_argv = {"sh", "-c", "echo $$ >> $1/workers; " + script, "sh", home_.path()};
        plan_.restart_argv = {"/bin/sh", "-c", restart_script, "sh", home_.path()};
    }
    RunningKeeper(const RunningKeeper&) = delete;
    RunningKeeper& operator=(const RunningKeeper&) = delete;
    // Stopped first: it starts no worker whose children would be missed.
    ~RunningKeeper() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGSTOP);
        const auto all_killed = [&] {
            std::size_t alive = 0;
            for (const Process& process : descendants(all_processes(), pid_)) {
                if (!process.is_zombie() && signal_process(process, SIGKILL)) ++alive;
            }
            return alive == 0;
        };
        CHECK(eventually(all_killed));
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    KeeperPlan& plan() { return plan_; }
    std::string path(const std::string& name) const { return home_.path(name); }

    void start() {
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ > 0) return;
        reset_signals();
        ::signal(SIGCHLD, SIG_IGN);  // what a careless parent hands down must not matter
        const int log =
            ::open(home_.path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log, STDERR_FILENO);
        ::_exit(run_keeper(plan_));
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    std::string log() const { return content_of(home_.path("log")); }

    std::vector<pid_t> workers() const {
        std::istringstream lines(content_of(home_.path("workers")));
        std::vector<pid_t> pids;
        for (pid_t pid = 0; lines >> pid;)
            pids.push_back(pid);
        return pids;
    }
    // The worker that was started as the `number`th, counted from 1, once it has said so.
    pid_t worker(std::size_t number) const {
        REQUIRE(eventually([&] { return workers().size() >= number; }));
        return workers()[number - 1];
    }
    // … and has become `sleep`.
    pid_t sleeping_worker(std::size_t number) const {
        const pid_t pid = worker(number);
        REQUIRE(eventually(
            [&] { return content_of("/proc/" + std::to_string(pid) + "/comm") == "sleep\n"; }));
        return pid;
    }

    int wait() {
        int status = 0;
        REQUIRE(eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }));
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

  private:
    TemporaryDirectory home_;
    KeeperPlan plan_;
    pid_t pid_ = 0;
};

// Files to pass on, opened so that their numbers collide with the numbers they are to have.
struct PassedFiles {
    UniqueFd ready_reader;
    std::vector<UniqueFd> files;

    explicit PassedFiles(RunningKeeper& keeper) {
        KeeperPlan& plan = keeper.plan();
        plan.proxy_socket_ipv6 = open(keeper, "proxy-ipv6");
        plan.shim_program = open(keeper, "shim");
        plan.proxy_socket = open(keeper, "proxy");
        plan.api_socket = open(keeper, "api");
        plan.daemon_lock = open(keeper, "lock");
        int ready[2];
        REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
        ready_reader.reset(ready[0]);
        plan.ready = ready[1];
    }

    int open(const RunningKeeper& keeper, const std::string& name) {
        files.emplace_back(::open(keeper.path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        return files.back().get();
    }
};

// Of a program that may still be loading, which then has more than the `count` it ends up with.
Descriptors loaded_descriptors(pid_t pid, std::size_t count) {
    Descriptors descriptors;
    REQUIRE(eventually([&] {
        descriptors = descriptors_of(pid);
        return descriptors.size() == count;
    }));
    return descriptors;
}

void check_passed(const RunningKeeper& keeper, const Descriptors& descriptors) {
    CHECK(descriptors.at(worker_fd::daemon_lock) == keeper.path("lock"));
    CHECK(descriptors.at(worker_fd::api_socket) == keeper.path("api"));
    CHECK(descriptors.at(worker_fd::proxy_socket) == keeper.path("proxy"));
    CHECK(descriptors.at(worker_fd::shim_program) == keeper.path("shim"));
    CHECK(descriptors.at(worker_fd::proxy_socket_ipv6) == keeper.path("proxy-ipv6"));
}

// Whether the last writing end of the pipe is closed, or is so before the deadline.
bool is_at_end(const UniqueFd& reader) {
    pollfd polled{reader.get(), POLLIN, 0};
    const auto limit = std::chrono::milliseconds(patience).count();
    char byte;
    return ::poll(&polled, 1, static_cast<int>(limit)) == 1 && ::read(reader.get(), &byte, 1) == 0;
}

constexpr std::size_t standard_and_passed = 3 + 5;

}  // namespace

TEST_CASE("a worker that is killed is started again at once, and the log says so") {
    RunningKeeper keeper("exec sleep 1000");
    keeper.start();
    const pid_t first = keeper.sleeping_worker(1);
    ::kill(first, SIGKILL);
    const pid_t second = keeper.worker(2);
    CHECK(second != first);
    CHECK(read_process(second)->parent == keeper.pid());
    CHECK(keeper.log() == "keeper: worker " + std::to_string(first) +
                              " was killed by signal 9; starting it again\n");
}

TEST_CASE("a worker that crashes again and again is started less and less often") {
    RunningKeeper keeper("exit 3");
    const long long begin = boottime_milliseconds();
    keeper.start();
    keeper.worker(5);
    CHECK(boottime_milliseconds() - begin >= 50 + 100 + 200);
    const std::string log = keeper.log();
    CHECK(log.find("exited with code 3; starting it again\n") != std::string::npos);
    CHECK(log.find("starting it again in 50 ms\n") != std::string::npos);
    CHECK(log.find("starting it again in 200 ms\n") != std::string::npos);
}

TEST_CASE("a worker that can't run is a crash like any other") {
    RunningKeeper keeper("exit 0");
    keeper.plan().worker_program = "/no/such/program";
    keeper.start();
    CHECK(eventually([&] {
        return keeper.log().find("exited with code 127; starting it again in 50 ms") !=
               std::string::npos;
    }));
    CHECK(keeper.log().find("can't run /no/such/program: No such file") != std::string::npos);
    keeper.signal(SIGTERM);
    CHECK(keeper.wait() == 0);
}

TEST_CASE("a worker that ends on purpose ends the keeper with its code") {
    for (const int code : {worker_exit::stopped, worker_exit::refused}) {
        CAPTURE(code);
        RunningKeeper keeper("exit " + std::to_string(code));
        keeper.start();
        CHECK(keeper.wait() == code);
        CHECK(keeper.workers().size() == 1);
    }
}

TEST_CASE("TERM and INT stop the worker first, and then the keeper") {
    for (const int signal : {SIGTERM, SIGINT}) {
        CAPTURE(signal);
        RunningKeeper keeper(
            "trap ': > $1/stopped; exit 0' TERM; : > $1/up; while :; do sleep 0.01; done");
        keeper.start();
        REQUIRE(eventually([&] { return std::filesystem::exists(keeper.path("up")); }));
        keeper.signal(signal);
        CHECK(keeper.wait() == 0);
        CHECK(std::filesystem::exists(keeper.path("stopped")));
        CHECK(keeper.workers().size() == 1);
    }
}

TEST_CASE("a worker that does not stop is killed") {
    RunningKeeper keeper("trap '' TERM; : > $1/up; while :; do sleep 0.01; done");
    keeper.start();
    REQUIRE(eventually([&] { return std::filesystem::exists(keeper.path("up")); }));
    const pid_t worker = keeper.worker(1);
    keeper.signal(SIGTERM);
    CHECK(keeper.wait() == 0);
    CHECK(!is_alive(worker));
}

TEST_CASE("a worker has the keeper's descriptors at their numbers, and ready only the first time") {
    RunningKeeper keeper("exec sleep 1000");
    PassedFiles passed(keeper);
    keeper.start();
    ::close(keeper.plan().ready);

    const pid_t first = keeper.sleeping_worker(1);
    Descriptors descriptors = loaded_descriptors(first, standard_and_passed + 1);
    check_passed(keeper, descriptors);
    CHECK(descriptors.at(worker_fd::ready).starts_with("pipe:"));

    ::kill(first, SIGKILL);
    CHECK(is_at_end(passed.ready_reader));  // the keeper has kept no copy
    descriptors = loaded_descriptors(keeper.sleeping_worker(2), standard_and_passed);
    check_passed(keeper, descriptors);
}

TEST_CASE("a worker starts with default signals") {
    RunningKeeper keeper("exec sleep 1000");
    keeper.start();
    const std::string status =
        content_of("/proc/" + std::to_string(keeper.sleeping_worker(1)) + "/status");
    CHECK(status.find("SigIgn:\t0000000000000000") != std::string::npos);
    CHECK(status.find("SigBlk:\t0000000000000000") != std::string::npos);
}

TEST_CASE("a killed keeper takes its worker with it") {
    RunningKeeper keeper("exec sleep 1000");
    keeper.start();
    const pid_t worker = keeper.sleeping_worker(1);
    keeper.signal(SIGKILL);
    CHECK(keeper.wait() == -1);
    const bool ended = eventually([&] { return !is_alive(worker); });
    CHECK(ended);
    if (!ended) ::kill(worker, SIGKILL);
}

TEST_CASE("what a dead worker leaves comes to the keeper, which reaps it") {
    RunningKeeper keeper("sleep 1000 & echo $! > $1/orphan; wait");
    keeper.start();
    REQUIRE(eventually([&] { return content_of(keeper.path("orphan")).ends_with('\n'); }));
    const auto orphan = read_process(std::stoi(content_of(keeper.path("orphan"))));
    REQUIRE(orphan);
    ::kill(keeper.worker(1), SIGKILL);
    CHECK(eventually([&] { return read_process(orphan->pid)->parent == keeper.pid(); }));
    CHECK(signal_process(*orphan, SIGKILL));
    CHECK(eventually([&] { return !read_process(orphan->pid); }));
}

TEST_CASE("HUP runs the new program in place, with descriptors and children in hand") {
    RunningKeeper keeper(
        "sleep 1000 & echo $! > $1/orphan; trap ': > $1/stopped; exit 0' TERM; "
        ": > $1/up; while :; do sleep 0.01; done",
        ": > $1/restarted; exec sleep 1000");
    PassedFiles passed(keeper);
    keeper.start();
    ::close(keeper.plan().ready);
    REQUIRE(eventually([&] { return std::filesystem::exists(keeper.path("up")); }));
    keeper.signal(SIGHUP);
    REQUIRE(eventually([&] { return sleeps(keeper.pid()); }));
    CHECK(std::filesystem::exists(keeper.path("stopped")));
    CHECK(std::filesystem::exists(keeper.path("restarted")));
    const Descriptors descriptors = descriptors_of(keeper.pid());
    CHECK(descriptors.size() == standard_and_passed);
    check_passed(keeper, descriptors);
    const auto orphan = read_process(std::stoi(content_of(keeper.path("orphan"))));
    REQUIRE(orphan);
    CHECK(orphan->parent == keeper.pid());
}

TEST_CASE("a restart that fails leaves the old program at work") {
    RunningKeeper keeper("exec sleep 1000");
    keeper.plan().restart_argv = {"/no/such/jamsockd"};
    const PassedFiles passed(keeper);
    keeper.start();
    ::close(keeper.plan().ready);
    const Descriptors before = descriptors_of(keeper.pid());
    keeper.sleeping_worker(1);
    keeper.signal(SIGHUP);
    const pid_t second = keeper.sleeping_worker(2);
    check_passed(keeper, descriptors_of(second));
    CHECK(keeper.log().find("can't run /no/such/jamsockd: No such file") != std::string::npos);
    for (const UniqueFd& file : passed.files) {
        CHECK(descriptors_of(keeper.pid()).at(file.get()) == before.at(file.get()));
    }
    keeper.signal(SIGTERM);
    CHECK(keeper.wait() == 0);
}
