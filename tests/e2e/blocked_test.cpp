// What stops the daemon doesn't: nobody waits for what is slow on another's behalf.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/hung_file_system.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

double seconds_of(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// No state of a matcher for "(a|b)*a(a|b){200}c{3}" comes twice in it.
std::string lines_of_two_letters(int count) {
    std::string lines;
    unsigned state = 1;
    for (int line = 0; line < count; ++line) {
        for (int at = 0; at < 4000; ++at) {
            state = state * 1664525 + 1013904223;
            lines += (state >> 24) % 2 == 0 ? 'a' : 'b';
        }
        lines += '\n';
    }
    return lines;
}

// The daemon in the foreground, with a standard error that nobody reads.
class UnreadDaemon {
  public:
    explicit UnreadDaemon(const Home& home) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        unread_ = UniqueFd(ends[0]);
        ::fcntl(unread_.get(), F_SETPIPE_SZ, 4096);
        const UniqueFd error(ends[1]);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(error.get(), STDERR_FILENO);
            ::setenv("JAMSOCK_HOME", home.path().c_str(), 1);
            ::execl(JAMSOCK_BUILD_DIR "/bin/jamsockd", "jamsockd", "--proxy-port", "0",
                    "--api-port", "0", nullptr);
            ::_exit(127);
        }
        REQUIRE(eventually([&] { return home.worker() != 0; }));
    }
    UnreadDaemon(const UnreadDaemon&) = delete;
    ~UnreadDaemon() {
        ::kill(pid_, SIGTERM);
        CHECK(eventually([&] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; }));
    }

    // Nothing more goes into the pipe.
    bool is_full() const {
        int filled = 0;
        ::ioctl(unread_.get(), FIONREAD, &filled);
        return filled > ::fcntl(unread_.get(), F_GETPIPE_SZ) / 2;
    }

  private:
    pid_t pid_ = 0;
    UniqueFd unread_;
};

// Many of them are a line of the log.
void ask_for_nothing(const Home& home, int times) {
    for (int i = 0; i < times; ++i) {
        const auto client = home.client();
        client->set_read_timeout(5);
        REQUIRE(client->Get("/v2/backend/none"));
    }
}

// Another program's transaction, which nobody can write beside.
class LockedDatabase {
  public:
    explicit LockedDatabase(const Home& home)
        : database_(home.path() + "/jamsock.db", SQLite::OPEN_READWRITE, 5000) {
        database_.exec("BEGIN IMMEDIATE");
    }
    void release() { database_.exec("ROLLBACK"); }

  private:
    SQLite::Database database_;
};

// What this machine does to a thread that asks for nothing: the longest that one was late.
class Floor {
  public:
    Floor() : thread_([this] { watch(); }) {}
    Floor(const Floor&) = delete;
    ~Floor() {
        is_over_ = true;
        thread_.join();
    }
    double longest() const { return longest_; }
    void begin_anew() { longest_ = 0; }

  private:
    void watch() {
        while (!is_over_) {
            const double seconds = seconds_of([] { ::poll(nullptr, 0, 1); });
            if (seconds > longest_) longest_ = seconds;
        }
    }
    std::atomic<bool> is_over_ = false;
    std::atomic<double> longest_ = 0;
    std::thread thread_;
};

std::chrono::seconds block_time() {
    const char* seconds = ::getenv("JAMSOCK_BLOCK_SECONDS");
    return std::chrono::seconds(seconds ? ::atoi(seconds) : 12);
}

}  // namespace

TEST_CASE("a costly pattern for one backend's output delays no other key") {
    const Home home;
    const TemporaryDirectory files;
    std::ofstream(files.path("lines")) << lines_of_two_letters(500);
    home.output_of({"service", "create", "plain", "--", test_backend()});
    home.output_of({"service", "create", "costly", "--ready-log", "(a|b)*a(a|b){200}c{3}", "--",
                    "/bin/sh", "-c", "cat " + files.path("lines") + "; exec sleep 60"});
    home.output_of({"connect", "costly", "--key", "a", "--no-wait"});
    home.output_of({"connect", "costly", "--key", "b", "--no-wait"});
    for (const char* key : {"1", "2", "3"}) {
        const double seconds = seconds_of([&] {
            home.output_of({"connect", "plain", "--key", key});
        });
        CHECK(seconds < 5);
    }
}

TEST_CASE("a program on a file system that hangs is refused in time, and nobody waits for it") {
    const TemporaryDirectory mount;
    const HungFileSystem hung(mount.path());
    if (!hung.is_mounted()) {
        MESSAGE("skipped: needs the right to mount a file system");
        return;
    }
    const Home home;
    home.output_of({"connect", "--key", "doc"});
    const auto create = [&](const std::string& name) {
        const std::string body = fmt::format(R"({{"name":"{}","command":["{}"],"cwd":"/"}})", name,
                                             mount.path("program"));
        return home.post("/v2/account/local/service", body);
    };
    std::vector<std::thread> creators;
    std::vector<Answer> refused(6);
    for (std::size_t i = 0; i < refused.size(); ++i)
        creators.emplace_back([&, i] { refused[i] = create(fmt::format("hung-{}", i)); });
    double longest = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (std::chrono::steady_clock::now() < until) {
        longest = std::max(longest, seconds_of([&] {
                               const auto client = home.client();
                               client->set_read_timeout(5);
                               CHECK(client->Get("/v2/account/local/keys"));
                           }));
    }
    CHECK(longest < 1);
    for (std::thread& creator : creators)
        creator.join();
    for (const Answer& answer : refused) {
        CHECK(answer.status == 504);
        CHECK(answer.body.find("the file system doesn't answer") != std::string::npos);
    }
}

TEST_CASE("a standard error that nobody reads stops nobody") {
    const Home home;
    const UnreadDaemon daemon(home);
    home.output_of({"connect", "--key", "doc"});
    const double seconds = seconds_of([&] { ask_for_nothing(home, 1000); });
    CHECK(seconds < 30);
    CHECK(daemon.is_full());
    home.output_of({"connect", "--key", "other"});
    for (const KeyEntry& entry : home.keys())
        home.output_of({"terminate", entry.backend_id.str()});
}

TEST_CASE("a locked database keeps nobody from a held key, and what waited for it is told so") {
    const Home home;
    home.output_of({"connect", "--key", "held"});
    home.output_of({"connect", "--key", "ending"});
    const ConnectRequest request{.key = Key::parse("new").value()};
    const ConnectRequest ending{.key = Key::parse("ending").value()};
    LockedDatabase locked(home);
    const double seconds =
        seconds_of([&] { CHECK(home.connect({.key = Key::parse("held").value()})); });
    CHECK(seconds < 2);
    std::optional<Result<ConnectResponse>> first, second;
    std::thread one([&] { first = home.connect(request, false); });
    std::thread two([&] { second = home.connect(request, false); });
    home.output_of({"terminate", "--key", "ending"});  // its end is recorded later
    one.join();
    two.join();
    for (const auto& refused : {*first, *second}) {
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::store_busy);
    }
    CHECK(home.keys().size() == 1);
    std::thread third([&] { first = home.connect(request, false); });
    ::poll(nullptr, 0, 200);
    locked.release();
    third.join();
    REQUIRE(*first);
    CHECK((*first)->spawned);
    CHECK(home.connect(ending).value().spawned);
    CHECK(eventually([&] { return home.output_of({"history", "ending"}).size() > 0; }));
}

TEST_CASE("what is held is answered at once while disk, database and standard error all hang") {
    const TemporaryDirectory mount;
    const HungFileSystem hung(mount.path());
    if (!hung.is_mounted()) {
        MESSAGE("skipped: needs the right to mount a file system");
        return;
    }
    const Home home;
    const UnreadDaemon daemon(home);
    const std::string url = home.output_of({"connect", "--key", "held"});
    ask_for_nothing(home, 1000);
    CHECK(daemon.is_full());
    LockedDatabase locked(home);

    std::atomic<bool> is_over = false;
    const auto again_and_again = [&](const std::function<void(httplib::Client&)>& ask) {
        while (!is_over) {
            const auto client = home.client();
            client->set_read_timeout(60);
            ask(*client);
        }
    };
    std::vector<std::thread> blocked;
    blocked.emplace_back(again_and_again, [&](httplib::Client& client) {
        client.Post(
            "/v2/account/local/service",
            fmt::format(R"({{"name":"hung","command":["{}"],"cwd":"/"}})", mount.path("program")),
            "application/json");
    });
    for (int i = 0; i < 3; ++i) {
        blocked.emplace_back(again_and_again, [i](httplib::Client& client) {
            client.Post("/v2/service/local/default/connect",
                        fmt::format(R"({{"key":"new-{}"}})", i), "application/json");
        });
    }
    blocked.emplace_back(again_and_again, [](httplib::Client& client) {
        client.Get("/v2/backend/none");
        ::poll(nullptr, 0, 5);
    });

    const auto until = std::chrono::steady_clock::now() + block_time();
    const std::string held = R"({"key":"held"})";
    const std::string look_up = R"({"key":"held","spawn":false})";
    const auto client = home.client();
    client->set_read_timeout(60);
    const auto proxy = std::make_unique<httplib::Client>(url.substr(0, url.find('/', 7)));
    std::map<std::string, double> longest;
    int rounds = 0;
    int over = 0;
    Floor floor;
    while (std::chrono::steady_clock::now() < until) {
        ++rounds;
        const auto probe = [&](const std::string& name, const auto& ask) {
            floor.begin_anew();
            int status = 0;
            const double seconds = seconds_of([&] { status = ask(); });
            CHECK(status == 200);
            // The machine's own delays are nobody's here.
            const double ours = seconds - floor.longest();
            if (ours > longest[name]) longest[name] = ours;
            if (ours > 0.1) ++over;
        };
        const auto status_of = [](const httplib::Result& answer) {
            return answer ? answer->status : 0;
        };
        const char* connect = "/v2/service/local/default/connect";
        probe("connect",
              [&] { return status_of(client->Post(connect, held, "application/json")); });
        probe("look-up",
              [&] { return status_of(client->Post(connect, look_up, "application/json")); });
        probe("list", [&] { return status_of(client->Get("/v2/account/local/keys")); });
        probe("proxy", [&] { return status_of(proxy->Get(url.substr(url.find('/', 7)))); });
    }
    for (const auto& [name, seconds] : longest)
        MESSAGE(name, " took ", seconds * 1000, " ms at most in ", rounds, " rounds");
    CHECK(over == 0);
    is_over = true;
    locked.release();
    for (std::thread& thread : blocked)
        thread.join();
    for (const KeyEntry& entry : home.keys())
        home.output_of({"terminate", entry.backend_id.str()});
}
