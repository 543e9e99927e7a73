// What backends get that can't be started, don't become ready, or are asked for by another command.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "common/unique_fd.h"
#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

Key a_key(const Home& home, const std::string& name = "new") {
    return Key::parse(home.own_key(name)).value();
}

ConnectRequest request_for(const Home& home, std::vector<std::string> argv,
                           const std::string& cwd = "/") {
    ConnectRequest request{.key = a_key(home)};
    request.command = Command{std::move(argv), cwd};
    return request;
}

void check_unstarted(const Result<ConnectResponse>& answer, ErrorCode code,
                     const std::string& words) {
    REQUIRE_FALSE(answer);
    INFO(answer.error().message);
    CHECK(answer.error().code == code);
    CHECK(answer.error().message.find(words) != std::string::npos);
}

// A connect whose backend doesn't become ready: begun now, to be waited for when all are begun, as
// each takes as long as its service lets a backend take to start.
Child connect_with_short_startup(const Home& home, const std::string& name,
                                 const std::vector<std::string>& command) {
    std::vector<std::string> words{"service", "create", name, "--startup", "12", "--"};
    words.insert(words.end(), command.begin(), command.end());
    home.output_of(words);
    return home.start_jamsock({"connect", name, "--key", home.own_key(name)});
}

// Listens on 127.0.0.1, on this port or any; says nothing to who connects, unless told to.
class Listener {
  public:
    explicit Listener(std::uint16_t port = 0)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(socket_.get(), generic, sizeof address) == 0);
        REQUIRE(::listen(socket_.get(), 5) == 0);
        socklen_t size = sizeof address;
        ::getsockname(socket_.get(), generic, &size);
        port_ = ntohs(address.sin_port);
    }
    std::uint16_t port() const { return port_; }

    // One request with 200; waits for it.
    void answer() const {
        RawSocket client(UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
        client.read_until("\r\n\r\n");
        client.send("HTTP/1.1 200 OK\r\n\r\n");
    }

  private:
    UniqueFd socket_;
    std::uint16_t port_ = 0;
};

// The backend that holds one of this home's keys, once there is one with a process.
BackendInfo started(const Home& home, const std::string& name) {
    std::optional<BackendInfo> found;
    REQUIRE(eventually([&] {
        for (const KeyEntry& entry : home.keys()) {
            if (entry.key && entry.key->str() == home.own_key(name)) {
                found = home.backend(entry.backend_id);
            }
        }
        return found && found->pid;
    }));
    return *found;
}

// A copy of the built programs, of which a test can take some away.
class Programs {
  public:
    Programs() {
        const std::string build = JAMSOCK_BUILD_DIR;
        for (const char* part : {"/bin", "/libexec"})
            fs::copy(build + part, directory_.path() + part, fs::copy_options::recursive);
    }
    const std::string& path() const { return directory_.path(); }
    std::string daemon() const { return path() + "/bin/jamsockd"; }
    std::string helper(const std::string& name) const {
        return path() + "/libexec/jamsock/" + name;
    }

  private:
    TemporaryDirectory directory_;
};

void forbid_to_run(const std::string& program) {
    fs::permissions(program, fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace

TEST_CASE("a command that doesn't exist or can't be run is told at once, and starts nothing") {
    const Home home;
    const TemporaryDirectory directory;
    std::ofstream(directory.path("script")) << "#!/bin/sh\n";
    check_refused(home.jamsock({"connect", "--key", "k", "--", "/no/such/program"}), 5,
                  {"There is no program '/no/such/program'"});
    check_refused(home.jamsock({"connect", "--key", "k", "--", "no-such-program"}), 5,
                  {"There is no program 'no-such-program' in PATH"});
    check_refused(home.jamsock({"connect", "--key", "k", "--", directory.path("script")}), 5,
                  {"'" + directory.path("script") + "' is not executable"},
                  "chmod +x " + directory.path("script"));
    check_refused(home.jamsock({"connect", "--key", "k", "--", directory.path()}), 5,
                  {"There is no program '" + directory.path() + "'"});
    check_refused(home.jamsock({"connect", "--key", "k", "--"}), 2, {"After '--'", "a command"},
                  "jamsock connect --help");
    CHECK(fs::is_empty(home.path()));
    CHECK(keepers_of(home.path()).empty());
}

TEST_CASE("a command that can't be run is SpawnFailed at connect, and holds no key") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const TemporaryDirectory directory;
    std::ofstream(directory.path("script")) << "#!/bin/sh\n";
    std::ofstream(directory.path("no-format")) << "no program\n";
    fs::permissions(directory.path("no-format"), fs::perms::owner_all);
    const auto refused = [&](std::vector<std::string> argv, const std::string& words,
                             const std::string& cwd = "/") {
        check_unstarted(home.connect(request_for(home, std::move(argv), cwd)),
                        ErrorCode::spawn_failed, words);
        CHECK(processes_with("SESSION_BACKEND_KEY=" + a_key(home).str()).empty());
    };
    refused({"/no/such/program"}, "'/no/such/program' can't be run: No such file or directory.");
    refused({directory.path("script")}, "can't be run: Permission denied.");
    refused({directory.path("no-format")}, "can't be run: Exec format error.");
    refused({directory.path()}, "can't be run: Permission denied.");
    refused({"/bin/true"}, "'/no/such/directory' can't be entered", "/no/such/directory");
    bystander.check_alone();
    CHECK(home.connect({.key = a_key(home)})->spawned);
}

TEST_CASE("a backend that exits before it listens is told with its last lines, and its key free") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const std::string key = home.own_key("new");
    const RunResult failed = home.jamsock(
        {"connect", "--key", key, "--", "/bin/sh", "-c", "echo no config found; exit 3"});
    check_refused(failed, 5, {"exited with code 3", "before it was ready"}, "jamsock status ");
    CHECK(failed.err.find("no config found") != std::string::npos);
    bystander.check_alone();

    const auto answer = home.connect(request_for(home, {"/bin/sh", "-c", "echo out; kill -9 $$"}));
    check_unstarted(answer, ErrorCode::backend_ended_before_ready, "was killed by signal 9");
    CHECK(answer.error().log_tail == std::vector<std::string>{"out"});
    bystander.check_alone();
    CHECK(home.connect({.key = a_key(home)})->spawned);
}

TEST_CASE("last lines that are no UTF-8, or cut within a character, are told all the same") {
    Home home;
    for (const char* script :
         {R"(printf '\377bad bytes\n'; exit 3)",
          R"(i=0; while [ $i -lt 3000 ]; do printf 'éééé'; i=$((i+1)); done; exit 3)"}) {
        const RunResult failed =
            home.jamsock({"connect", "--key", "k", "--", "/bin/sh", "-c", script});
        check_refused(failed, 5, {"exited with code 3"});
        CHECK(home.keys().empty());
    }
}

TEST_CASE("a key held by another command is KeyHeld, and its holder is left alone") {
    const Bystander bystander;
    const Home& home = bystander.home;
    check_refused(home.jamsock({"connect", "--key", bystander.key, "--", test_backend()}), 6,
                  {"jamsock-demo", "test_backend", "is held by backend"}, "jamsock status ");
    check_refused(home.jamsock({"connect", "--key", bystander.key, "--tag", "blue"}), 6,
                  {"has no tag"}, "jamsock status ");
    bystander.check();
}

TEST_CASE("a key held by the same command in another directory is KeyHeld") {
    const Home home;
    RunOptions there = home.options();
    there.directory = "/usr";
    const std::vector<std::string> call{"connect", "--key", "k", "--", test_backend()};
    REQUIRE(home.jamsock(call, there).exit_code == 0);
    const KeyEntry before = home.keys().at(0);
    check_refused(home.jamsock(call), 6, {"is held by backend", "in '/usr'", "in '/'"},
                  "jamsock status ");
    REQUIRE(home.keys().size() == 1);
    CHECK(home.keys()[0].backend_id == before.backend_id);
}

TEST_CASE("a backend that isn't ready at the limit is told what it did in place of that") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const std::uint16_t other_port = Listener().port();  // free again

    Child silent = connect_with_short_startup(home, "silent", {test_backend(), "--never-listen"});
    Child elsewhere = connect_with_short_startup(
        home, "elsewhere", {test_backend(), "--listen-on", std::to_string(other_port)});
    Child mute = connect_with_short_startup(home, "mute", {test_backend(), "--mute"});
    Child beside =
        connect_with_short_startup(home, "beside", {test_backend(), "--listen-at", "127.0.0.2"});
    Child robbed = connect_with_short_startup(home, "robbed", {test_backend(), "--never-listen"});
    const Listener stranger(started(home, "robbed").port);
    const BackendInfo silent_backend = started(home, "silent");
    const std::uint16_t elsewhere_port = started(home, "elsewhere").port;
    const std::uint16_t mute_port = started(home, "mute").port;
    const std::uint16_t beside_port = started(home, "beside").port;

    check_refused(silent.wait(), 5,
                  {"was not ready within", "it listens on no port",
                   fmt::format("port $PORT ({})", silent_backend.port)},
                  "jamsock status " + silent_backend.id.str());
    check_refused(
        elsewhere.wait(), 5,
        {fmt::format("it listens on port {} instead of $PORT {}", other_port, elsewhere_port),
         "read the port from the environment variable PORT"},
        "jamsock status ");
    check_refused(mute.wait(), 5,
                  {fmt::format("it listens on its port {} and doesn't answer HTTP", mute_port)});
    check_refused(robbed.wait(), 5,
                  {fmt::format("its port {} belongs to another process, {} ('e2e_tests')",
                               stranger.port(), ::getpid())});
    check_refused(beside.wait(), 5,
                  {fmt::format("it listens on 127.0.0.2:{}, where 127.0.0.1:{} doesn't lead",
                               beside_port, beside_port),
                   "HOST"});
    CHECK(home.backend(silent_backend.id).statuses.back().reason ==
          TerminationReason::startuptimeout);
    for (const char* name : {"silent", "elsewhere", "mute", "beside", "robbed"})
        CHECK(processes_with("SESSION_BACKEND_KEY=" + home.own_key(name)).empty());
    bystander.check_alone();
}

// A connect for the key "robbed", whose backend waits for a file named after its port before it
// listens there.
Child start_robbed(const Home& home, const TemporaryDirectory& gates) {
    return home.start_jamsock({"connect", "--key", home.own_key("robbed"), "--", "/bin/sh", "-c",
                               "until test -e \"$0/$PORT\"; do sleep 0.01; done; exec \"$1\"",
                               gates.path(), test_backend()});
}

void open_gate(const TemporaryDirectory& gates, std::uint16_t port) {
    std::ofstream(gates.path(std::to_string(port))).put('\n');
}

TEST_CASE("a backend that ends because its port was taken is told by whom, with its last lines") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const TemporaryDirectory gates;
    Child robbed = start_robbed(home, gates);
    std::vector<Listener> strangers;  // each start has another port, and loses it
    for (int start = 0; start < 3; ++start) {
        REQUIRE(eventually([&] {
            const std::uint16_t port = started(home, "robbed").port;
            return strangers.empty() || strangers.back().port() != port;
        }));
        strangers.emplace_back(started(home, "robbed").port);
        open_gate(gates, strangers.back().port());
    }
    const RunResult refused = robbed.wait();
    check_refused(refused, 5,
                  {"exited with code 70 before it was ready",
                   fmt::format("its port {} belongs to another process, {} ('e2e_tests')",
                               strangers.back().port(), ::getpid())},
                  "jamsock status ");
    CHECK(refused.err.find("Address already in use") != std::string::npos);
    bystander.check_alone();
}

TEST_CASE("a backend that lost its port once is started on another one, and none is told of it") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const TemporaryDirectory gates;
    Child robbed = start_robbed(home, gates);
    const BackendInfo first = started(home, "robbed");
    const Listener stranger(first.port);
    open_gate(gates, first.port);
    REQUIRE(eventually([&] { return started(home, "robbed").id != first.id; }));
    const BackendInfo second = started(home, "robbed");
    CHECK(second.port != first.port);
    CHECK(second.fencing_token > first.fencing_token);
    open_gate(gates, second.port);
    const RunResult connected = robbed.wait();
    CHECK(connected.exit_code == 0);
    CHECK(connected.err.empty());
    CHECK(fetch(connected.out.substr(0, connected.out.size() - 1)).status == 200);
    CHECK(home.backend(first.id).statuses.back().exit == ProcessExit{70, std::nullopt});
    home.output_of({"terminate", "--hard", second.id.str()});
    bystander.check_alone();
}

TEST_CASE("the same if who had the port is gone when the backend ends, but was met before") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const TemporaryDirectory gates;
    Child robbed = home.start_jamsock(
        {"connect", "--key", home.own_key("robbed"), "--", "/bin/sh", "-c",
         "mkdir \"$0/first\" || exec \"$1\"; until test -e \"$0/$PORT\"; do sleep 0.01; done; "
         "exit 70",
         gates.path(), test_backend()});
    const BackendInfo first = started(home, "robbed");
    {
        const Listener stranger(first.port);
        stranger.answer();
        stranger.answer();  // asked again: the first answer was looked into
    }
    open_gate(gates, first.port);
    const RunResult connected = robbed.wait();
    CHECK(connected.exit_code == 0);
    const BackendInfo second = started(home, "robbed");
    CHECK(second.id != first.id);
    CHECK(home.backend(first.id).statuses.back().exit == ProcessExit{70, std::nullopt});
    home.output_of({"terminate", "--hard", second.id.str()});
    bystander.check_alone();
}

TEST_CASE("a lock that is held by what no daemon knows keeps its key: SpawnFailed, no second one") {
    Home home;
    const std::string key = home.own_key("lost");
    home.output_of({"connect", "--key", key, "--", test_backend()});
    const BackendInfo backend = home.backend(home.keys().at(0).backend_id);
    const pid_t shim = parent_of(*backend.pid);
    ::kill(home.keeper(), SIGKILL);
    REQUIRE(eventually([&] { return workers_of(home.path()).empty(); }));
    for (const char* name : {"jamsock.db", "jamsock.db-wal", "jamsock.db-shm", "backends"})
        fs::remove_all(home.path() + "/" + name);

    for (int i = 0; i < 2; ++i) {
        check_refused(home.jamsock({"connect", "--key", key}), 5,
                      {"lock is held by the backend '" + backend.id.str() + "'", "knows nothing"},
                      fmt::format("kill {}\n", shim));
        CHECK(processes_with("SESSION_BACKEND_KEY=" + key) == std::vector{*backend.pid});
        CHECK(home.keys().empty());
    }
    CHECK(home.jamsock({"connect", "--key", home.own_key("another")}).exit_code == 0);

    // The way out: the shim takes its backend along, and the key is given again.
    ::kill(shim, SIGTERM);
    REQUIRE(eventually([&] { return !is_running(shim) && !is_running(*backend.pid); }));
    const auto next = home.connect({.key = Key::parse(key).value()});
    REQUIRE(next);
    CHECK(next->spawned);
    for (const KeyEntry& entry : home.keys()) {
        if (entry.key->str() == key) CHECK(entry.fencing_token > backend.fencing_token);
    }
}

TEST_CASE("without jamsockd, or with one that can't be run, no daemon is started and it is named") {
    const Programs programs;
    const Home home(programs.path());
    const std::string program = programs.daemon();
    forbid_to_run(program);
    for (const char* why : {"Permission denied", "No such file or directory"}) {
        for (const std::vector<std::string>& call :
             {std::vector<std::string>{"connect", "--key", "k"}, {"daemon", "start"}}) {
            check_refused(home.jamsock(call), 69,
                          {"The daemon's program '" + program + "' can't be run", why},
                          "ls -l " + program);
        }
        check_refused(home.jamsock({"daemon", "run"}), 69, {"'" + program + "' can't be run", why});
        fs::remove(program);
    }
    const auto left = contents_of(home.path());
    CHECK(left == std::map<std::string, std::string>{{home.path() + "/start.lock", ""}});
}

TEST_CASE("without jamsock-shim, or with one that can't be run, no daemon is started") {
    const Programs programs;
    const Home home(programs.path());
    const std::string shim = programs.helper("jamsock-shim");
    forbid_to_run(shim);
    for (const char* why : {"Permission denied", "No such file or directory"}) {
        check_refused(home.jamsock({"connect", "--key", "k"}), 69,
                      {"The program '" + shim + "' can't be run", why}, "ls -l " + shim);
        check_refused(home.jamsock({"daemon", "run"}), 69, {"'" + shim + "' can't be run", why},
                      "ls -l " + shim);
        fs::remove(shim);
    }
    CHECK(keepers_of(home.path()).empty());
    for (const auto& [path, bytes] : contents_of(home.path())) {
        CAPTURE(path);
        const std::string name = fs::path(path).filename();
        CHECK((name == "start.lock" || name == "jamsockd.log"));
    }
}

TEST_CASE("a daemon whose shim was taken away goes on with the one it has, over a restart, too") {
    const Programs programs;
    const Home home(programs.path());
    home.output_of({"daemon", "start"});
    const pid_t keeper = home.keeper();
    const pid_t worker = home.worker();
    fs::remove(programs.helper("jamsock-shim"));
    home.output_of({"connect", "--key", "before"});
    home.output_of({"daemon", "restart"});
    CHECK(home.keeper() == keeper);
    CHECK(home.worker() != worker);
    home.output_of({"connect", "--key", "after"});
    CHECK(home.keys().size() == 2);
}

TEST_CASE("without jamsock-demo the default backend is SpawnFailed, and commands in place work") {
    const Programs programs;
    const Home home(programs.path());
    const std::string demo = programs.helper("jamsock-demo");
    forbid_to_run(demo);
    for (const char* why : {"Permission denied", "No such file or directory"}) {
        check_refused(home.jamsock({"connect", "--key", "k"}), 5,
                      {"'" + demo + "' can't be run", why});
        CHECK(home.keys().empty());
        fs::remove(demo);
    }
    home.output_of({"connect", "--key", "k", "--", test_backend()});
    CHECK(home.keys().size() == 1);
}
