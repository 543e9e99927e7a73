#include "daemon/backends/survivors.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "daemon/backends/port_owner.h"
#include "daemon/shim/lock_holder.h"
#include "tests/support/eventually.h"
#include "tests/support/headless.h"
#include "tests/support/no_descriptors.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// A child that runs `setup` and then waits to be killed.
template <class Setup>
class Waiting {
  public:
    explicit Waiting(Setup setup) : pid_(::fork()) {
        if (pid_ != 0) return;
        setup();
        for (;;)
            ::pause();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_;
};

bool is_any_of(const std::vector<Process>& processes, pid_t pid) {
    return std::ranges::find(processes, pid, &Process::pid) != processes.end();
}

bool finds(const SurvivorQuery& query, pid_t pid) {
    return is_any_of(find_survivors(query).processes, pid);
}

}  // namespace

TEST_CASE("below the keeper all are survivors but the worker, known shims and what is below them") {
    const Waiting stranger([] {});
    const Waiting shim([] {});
    SurvivorQuery query{.keeper = ::getpid(), .shims = {shim.pid()}};
    CHECK(finds(query, stranger.pid()));
    CHECK_FALSE(finds(query, shim.pid()));
    query.worker = stranger.pid();
    CHECK_FALSE(finds(query, stranger.pid()));
    query.keeper = 0;
    query.worker = 0;
    CHECK_FALSE(finds(query, stranger.pid()));
}

TEST_CASE(
    "a process of the backend's session is a survivor, of a session with that number is not") {
    const Waiting member([] { ::setsid(); });
    REQUIRE(eventually([&] { return read_process(member.pid())->session == member.pid(); }));
    Process main = *read_process(member.pid());
    CHECK(finds({.main = main}, member.pid()));
    main.start_time -= 1;
    CHECK_FALSE(finds({.main = main}, member.pid()));
}

TEST_CASE("who holds the lock is a survivor, who only reads its file is not") {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/lock";
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const Waiting holder([&] { ::flock(::open(path.c_str(), O_RDWR), LOCK_EX); });
    const Waiting reader([] {});  // has the descriptor `file`, which carries no lock
    const SurvivorQuery query{.lock = key_lock::inode(directory.fd(), "lock")};
    REQUIRE(query.lock);
    REQUIRE(eventually([&] { return finds(query, holder.pid()); }));
    CHECK_FALSE(finds(query, reader.pid()));
}

TEST_CASE("a process with the backend's mark in its environment is a survivor") {
    const Waiting marked([] {
        ::execle("/bin/sleep", "sleep", "60", nullptr,
                 std::array<const char*, 2>{"JAMSOCK_MARK=abc123", nullptr}.data());
    });
    REQUIRE(eventually([&] { return finds({.mark = "abc123"}, marked.pid()); }));
    CHECK_FALSE(finds({.mark = "abc124"}, marked.pid()));
    CHECK_FALSE(finds({}, marked.pid()));
}

TEST_CASE("a process whose first thread has ended is found by its lock and by its mark") {
    const TemporaryDirectory directory;
    const UniqueFd file(::openat(directory.fd(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ::flock(file.get(), LOCK_EX);
    const Headless holder;
    CHECK(finds({.lock = key_lock::inode(directory.fd(), "lock")}, holder.pid()));
    ::setenv("JAMSOCK_MARK", "headless", 1);  // of programs that are exec'ed, not of this one
    const Waiting marked([] {
        ::execl("/proc/self/exe", "unit_tests", "--no-skip",
                "-tc=lives on without its first thread", nullptr);
    });
    ::unsetenv("JAMSOCK_MARK");
    REQUIRE(eventually([&] { return read_process(marked.pid())->state == 'Z'; }));
    CHECK(finds({.mark = "headless"}, marked.pid()));
}

TEST_CASE("lives on without its first thread" * doctest::skip()) {
    Headless::live_on();
}

TEST_CASE("a marked process is killed as soon as it is found, however short its successors live") {
    const Waiting storm([] {
        ::execle("/proc/self/exe", "unit_tests", "--no-skip", "-tc=forks and ends for 60 seconds",
                 nullptr, std::array<const char*, 2>{"JAMSOCK_MARK=storm123", nullptr}.data());
    });
    const SurvivorQuery query{
        .uid = ::geteuid(), .mark = "storm123", .started = read_process(storm.pid())->start_time};
    const auto is_stormy = [&] { return !find_survivors(query).is_none(); };
    REQUIRE(eventually([&] { return !find_survivors(query).processes.empty(); }));
    int missed = 0;
    for (int look = 0; look < 50; ++look)
        missed += is_stormy() ? 0 : 1;
    CHECK(missed == 0);
    int empty = 0;
    CHECK(eventually([&] {
        empty = kill_survivors(query).is_none() ? empty + 1 : 0;
        return empty == 2;
    }));
    CHECK_FALSE(is_stormy());
}

TEST_CASE("forks and ends for 60 seconds" * doctest::skip()) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    ::signal(SIGCHLD, SIG_IGN);
    while (std::chrono::steady_clock::now() < end) {
        if (::fork() != 0) ::_exit(0);
        ::setsid();
        ::usleep(500);
    }
    ::_exit(0);
}

TEST_CASE("what its own user may not look into may be the backend's, if it started after it") {
    if (::geteuid() != 0) return;
    constexpr uid_t nobody = 65534;
    std::array<int, 2> report{};
    REQUIRE(::pipe(report.data()) == 0);
    const Waiting hidden([] {
        if (::setuid(nobody) != 0) ::_exit(1);
        ::setsid();
        ::prctl(PR_SET_DUMPABLE, 0);
        ::prctl(PR_SET_NAME, "hidden");
    });
    REQUIRE(eventually([&] { return NamedProcess::of(hidden.pid()).command == "hidden"; }));
    const std::uint64_t start = read_process(hidden.pid())->start_time;
    const Waiting looker([&] {
        const bool is_user = ::setuid(nobody) == 0;
        SurvivorQuery query{.uid = nobody, .mark = "any", .started = start};
        const auto is_unproven = [&] {
            return is_any_of(find_survivors(query).unproven, hidden.pid());
        };
        const bool before = is_unproven();
        query.started = start + 1;
        const std::array<bool, 3> seen{is_user, before, is_unproven()};
        ::_exit(::write(report[1], seen.data(), sizeof seen) < 0);
    });
    std::array<bool, 3> seen{};
    REQUIRE(::read(report[0], seen.data(), sizeof seen) == sizeof seen);
    CHECK(seen == std::array<bool, 3>{true, true, false});
    for (const int end : report)
        ::close(end);
    const SurvivorQuery as_root{.uid = nobody, .mark = "any", .started = start};
    CHECK(find_survivors(as_root).unproven.empty());  // root may look into all
}

TEST_CASE("a lock file says which token it has seen, and whether anybody holds it") {
    const TemporaryDirectory directory;
    CHECK(key_lock::recorded_token(directory.fd(), "lock") == 0);
    CHECK_FALSE(key_lock::is_held(directory.fd(), "lock"));
    const UniqueFd lock(::openat(directory.fd(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::write(lock.get(), "1764000000126 knrv5\n", 20) == 20);
    CHECK(key_lock::recorded_token(directory.fd(), "lock") == 1764000000126);
    CHECK_FALSE(key_lock::is_held(directory.fd(), "lock"));
    REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
    CHECK(key_lock::is_held(directory.fd(), "lock"));
    REQUIRE(::flock(lock.get(), LOCK_UN) == 0);
    LockHolder shim(directory.fd(), "lock");
    REQUIRE(shim.try_take({1764000000127, "knrv5"}).outcome == LockAttempt::Outcome::taken);
    CHECK(key_lock::is_held(directory.fd(), "lock"));
    REQUIRE(::flock(shim.fd(), LOCK_UN) == 0);
    CHECK(key_lock::is_held(directory.fd(), "lock"));
}

TEST_CASE("lock files of different services and keys have different names") {
    const auto standard = ServiceName::standard();
    const auto other = ServiceName::parse("editor").value();
    const std::string name = key_lock::file_name(standard, "k");
    CHECK(name.size() == 64);
    CHECK(name == key_lock::file_name(standard, "k"));
    CHECK(name != key_lock::file_name(standard, "l"));
    CHECK(name != key_lock::file_name(other, "k"));
    CHECK(key_lock::file_name(ServiceName::parse("a").value(), "1:bc") !=
          key_lock::file_name(ServiceName::parse("a1").value(), ":bc"));
}

TEST_CASE("who has no descriptor left to look with has proved nothing") {
    const Waiting stranger([] {});
    const SurvivorQuery query{.keeper = ::getpid()};
    CHECK(eventually([&] { return find_survivors(query).is_whole; }));
    {
        const NoDescriptors none;
        CHECK_FALSE(find_survivors(query).is_whole);
        CHECK_FALSE(kill_survivors(query).is_whole);
        CHECK(key_lock::is_held(AT_FDCWD, "any"));  // it can't be told
    }
    CHECK_FALSE(key_lock::is_held(AT_FDCWD, "not-there"));
    CHECK(finds(query, stranger.pid()));
}
