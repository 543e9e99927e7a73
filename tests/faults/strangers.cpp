// What another user of the machine can do, who has loopback alone, while a user works: as uid
// 65534, floods of refused requests, connections without a request, and heads that never end.
// Nothing of the user's is lost, each answer comes within a second, and the daemon's log and memory
// stay small.
//
// usage: strangers SECONDS
// SECONDS is the length of each section. Exits 0 if all held, 1 if not, 77 without root.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "tests/support/home.h"
#include "tests/support/raw_socket.h"
#include "tests/support/sanitized.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

using Clock = std::chrono::steady_clock;

constexpr uid_t stranger = 65534;
constexpr std::chrono::milliseconds longest_answer{1000 * slowness};
constexpr std::uintmax_t most_log = 4 * 1024 * 1024;
constexpr long most_memory = 150 * 1024;  // KiB more than before

void connect_often(std::uint16_t port, std::size_t count, const std::string& text) {
    std::vector<RawSocket> clients;
    for (std::size_t i = 0; i < count; ++i) {
        try {
            clients.push_back(RawSocket::connect(port));
            if (!text.empty()) clients.back().send(text);
        } catch (const std::exception&) {
            // refused or reset: what he is here for
        }
    }
    ::pause();
}

// As fast as it goes, on one connection after the other.
void ask_on_and_on(std::uint16_t port, const std::string& target) {
    for (;;) {
        httplib::Client client("127.0.0.1", port);
        client.set_keep_alive(true);
        while (client.Get(target)) {
        }
    }
}

// Whom he has to do with.
struct Target {
    std::uint16_t api_port = 0;
    std::uint16_t proxy_port = 0;
    std::string backend_id;
};

// What the stranger does, in a process of its own until the section is over.
struct Section {
    const char* name;
    int processes;
    std::function<void(const Target& target)> attack;
};

const std::vector<Section> sections{
    {"refused requests", 4,
     [](const Target& target) { ask_on_and_on(target.api_port, "/v2/account/local/backends"); }},
    {"long ids", 2,
     [](const Target& target) {
         ask_on_and_on(target.api_port, "/v2/backend/" + std::string(7000, 'x') + "/status");
     }},
    {"2,600 idle connections", 1,
     [](const Target& target) { connect_often(target.api_port, 2600, ""); }},
    {"3,000 unfinished heads", 1,
     [](const Target& target) {
         connect_often(target.api_port, 3000,
                       "GET / HTTP/1.1\r\nHost: localhost\r\nx: " + std::string(60'000, 'x'));
     }},
    {"streams of a status", 1,
     [](const Target& target) {
         connect_often(target.api_port, 2600,
                       "GET /v2/backend/" + target.backend_id +
                           "/status/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
     }},
};

std::vector<pid_t> start(const Section& section, const Target& target) {
    std::vector<pid_t> started;
    const pid_t parent = ::getpid();
    for (int i = 0; i < section.processes; ++i) {
        const pid_t child = ::fork();
        if (child != 0) {
            started.push_back(child);
            continue;
        }
        if (::setgid(stranger) != 0 || ::setuid(stranger) != 0) ::_exit(1);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        ::signal(SIGPIPE, SIG_IGN);
        section.attack(target);
        ::_exit(1);
    }
    return started;
}

void end(const std::vector<pid_t>& processes) {
    for (const pid_t process : processes) {
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
    }
}

long resident_kib(pid_t process) {
    std::ifstream status(fmt::format("/proc/{}/status", process));
    for (std::string word; status >> word;) {
        if (word != "VmRSS:") continue;
        long size = 0;
        status >> size;
        return size;
    }
    return 0;
}

std::uintmax_t log_size(const Home& home) {
    std::uintmax_t size = 0;
    for (const char* name : {"/jamsockd.log", "/jamsockd.log.1"}) {
        std::error_code absent;
        const auto one = std::filesystem::file_size(home.path() + name, absent);
        if (!absent) size += one;
    }
    return size;
}

// What the user does meanwhile, each call with its time.
class Load {
  public:
    explicit Load(const Home& home) : home_(home), daemon_(home.version().value()) {
        std::ifstream(home.path() + "/api-token") >> token_;
        url_ = home.output_of({"connect", "--key", "doc", "--", test_backend()});
    }

    void run_for(std::chrono::seconds time) {
        const auto until = Clock::now() + time;
        while (Clock::now() < until) {
            timed("connect over the socket", [&] {
                return home_.post("/v2/service/local/default/connect", R"({"key":"doc"})").status;
            });
            timed("list over TCP", [&] { return over_tcp("/v2/account/local/keys"); });
            timed("status over TCP", [&] { return over_tcp("/healthz"); });
            timed("request by the URL", [&] { return fetch(url_).status; });
        }
    }

    std::size_t calls() const { return calls_; }
    std::size_t failures() const { return failures_; }
    std::chrono::milliseconds longest() const { return longest_; }

  private:
    int over_tcp(const char* target) const {
        httplib::Client client("127.0.0.1", daemon_.api_port);
        const auto answer = client.Get(target, {{"Authorization", "Bearer " + token_}});
        return answer ? answer->status : 0;
    }

    void timed(const char* what, const std::function<int()>& call) {
        const auto begin = Clock::now();
        const int status = call();
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
        ++calls_;
        longest_ = std::max(longest_, took);
        if (status == 200 && took <= longest_answer) return;
        ++failures_;
        std::cout << fmt::format("  {}: {} after {} ms\n", what, status, took.count());
    }

    const Home& home_;
    VersionInfo daemon_;
    std::string token_;
    std::string url_;
    std::size_t calls_ = 0;
    std::size_t failures_ = 0;
    std::chrono::milliseconds longest_{0};
};

bool run(std::chrono::seconds time) {
    const Home home;
    home.output_of({"daemon", "start"});
    Load load(home);
    const VersionInfo daemon = home.version().value();
    const Target target{daemon.api_port, daemon.proxy_port, home.keys().at(0).backend_id.str()};
    const long memory_before = resident_kib(home.worker());
    bool held = true;
    for (const Section& section : sections) {
        const pid_t worker = home.worker();
        const std::vector<pid_t> attackers = start(section, target);
        load.run_for(time);
        const long memory = resident_kib(worker) - memory_before;
        end(attackers);
        const bool is_small = memory <= most_memory && log_size(home) <= most_log;
        held &= is_small && home.worker() == worker && load.failures() == 0;
        std::cout << fmt::format(
            "{}: {} calls of the user, {} failed or late, longest {} ms; memory +{} KiB, log {} "
            "KiB{}\n",
            section.name, load.calls(), load.failures(), load.longest().count(), memory,
            log_size(home) / 1024, is_small ? "" : " TOO MUCH");
    }
    held &= home.keys().size() == 1;
    return held;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 1;
    if (::geteuid() != 0) {
        std::cout << "skipped: only root can become another user\n";
        return 77;
    }
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    doctest::Context context;  // Home's own checks
    context.setAsDefaultForAssertsOutOfTestCases();
    context.setAssertHandler([](const doctest::AssertData& failed) {
        std::cout << failed.m_file << ":" << failed.m_line << ": " << failed.m_expr << "\n";
    });
    const bool held = run(std::chrono::seconds(std::atoi(argv[1])));
    std::cout << (held ? "all held\n" : "NOT held\n");
    return held ? 0 : 1;
}
