// When a backend counts as ready: each sign that a service may wait for, whose the port is, and
// what becomes of the wait when the daemon is another one in between.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "common/service_types.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/notify.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::chrono::seconds long_wait{60};

// The sign that a service of this name waits for, and how it is given to one backend.
struct Kind {
    std::string name;
    std::vector<std::string> options;
};

const std::vector<Kind> kinds{
    {"log", {"--ready-log", "^open-for-business$"}},
    {"path", {"--ready-path", "/health?deep=1"}},
    {"exec", {"--ready-exec", "echo tried; test -e \"$GATES/$SESSION_BACKEND_KEY\""}},
    {"notify", {"--ready-exec", "false"}},  // READY=1 counts, whatever else is waited for
};

struct Instance {
    Home home;
    TemporaryDirectory gates;

    void create(const std::string& name, std::vector<std::string> options,
                const std::vector<std::string>& command = {test_backend()}) const {
        std::vector<std::string> words{"service", "create", name, "-e", "GATES=" + gates.path()};
        words.insert(words.end(), options.begin(), options.end());
        words.emplace_back("--");
        words.insert(words.end(), command.begin(), command.end());
        home.output_of(words);
    }

    // A backend of the service that runs, ready or not.
    BackendInfo start(const std::string& service, const std::string& key = "k") const {
        const auto response = ConnectResponse::from_json(
            home.output_of({"connect", service, "--key", key, "--no-wait", "--json"}));
        REQUIRE(response);
        REQUIRE(eventually([&] { return status(response->backend_id) >= Status::waiting; }));
        return home.backend(response->backend_id);
    }

    Status status(const BackendId& id) const { return home.backend(id).statuses.back().status; }

    bool is_ready(const BackendInfo& backend) const { return status(backend.id) == Status::ready; }

    std::string output(const BackendInfo& backend) const {
        return content_of(home.path() + "/backends/" + backend.id.str() + "/output.log");
    }

    void open_gate(const std::string& key) const { std::ofstream(gates.path(key)).put('\n'); }

    // Past the daemon and its proxy.
    static Answer ask(const BackendInfo& backend, const std::string& target) {
        return fetch(fmt::format("http://127.0.0.1:{}{}", backend.port, target));
    }

    void give_sign(const Kind& kind, const BackendInfo& backend) const {
        if (kind.name == "log") ask(backend, "/print?open-for-business");
        if (kind.name == "path") ask(backend, "/heal");
        if (kind.name == "exec") open_gate(backend.key->str());
        if (kind.name == "notify") ask(backend, "/notify");
    }

    // It serves, was looked at several times meanwhile, and is waited for still.
    void check_waited_for(const BackendInfo& backend) const {
        REQUIRE(eventually([&] { return ask(backend, "/pid").status == 200; }));
        for (int i = 0; i < 50; ++i) {
            CHECK(ask(backend, "/").status == 200);
            CHECK(status(backend.id) == Status::waiting);
        }
    }
};

std::vector<std::string> sh(const std::string& script) {
    return {"/bin/sh", "-c", script, test_backend()};
}

// Answers anything with 200 on this port, and is no process of the backend's.
Child stranger_on(std::uint16_t port) {
    RunOptions options;
    options.environment = {{"PORT", std::to_string(port)}};
    Child stranger = Child::start({test_backend()}, options);
    const std::string url = fmt::format("http://127.0.0.1:{}/", port);
    REQUIRE(eventually([&] { return fetch(url).status == 200; }));
    return stranger;
}

// Connections that live from this machine to a port, as the kernel counts them.
int connections_to(std::uint16_t port) {
    std::ifstream table("/proc/net/tcp");
    const std::string remote = fmt::format("0100007F:{:04X} 01 ", port);
    int count = 0;
    for (std::string line; std::getline(table, line);)
        count += line.find(' ' + remote) != std::string::npos;
    return count;
}

}  // namespace

TEST_CASE("a backend is ready at the sign that its service waits for, and not before") {
    const Instance instance;
    for (const Kind& kind : kinds) {
        CAPTURE(kind.name);
        instance.create(kind.name, kind.options);
        const BackendInfo backend = instance.start(kind.name);
        instance.check_waited_for(backend);
        instance.give_sign(kind, backend);
        CHECK(eventually([&] { return instance.is_ready(backend); }));
    }
}

TEST_CASE("what a sign is not: another line, an answer of 503, a command that fails") {
    const Instance instance;
    instance.create("log", kinds[0].options);
    const BackendInfo log = instance.start("log");
    instance.check_waited_for(log);
    for (const char* line : {"open-for-business-as-usual", "not-open-for-business", "open"})
        Instance::ask(log, std::string("/print?") + line);
    REQUIRE(eventually([&] { return instance.output(log).ends_with("business\nopen\n"); }));
    instance.check_waited_for(log);

    instance.create("path", kinds[1].options);
    const BackendInfo path = instance.start("path");
    REQUIRE(eventually([&] { return Instance::ask(path, "/asked").body.size() > 2; }));  // "10" …
    CHECK(instance.status(path.id) == Status::waiting);

    instance.create("exec", kinds[2].options);
    const BackendInfo exec = instance.start("exec");
    REQUIRE(eventually([&] { return instance.output(exec).starts_with("tried\ntried\ntried\n"); }));
    CHECK(instance.status(exec.id) == Status::waiting);
    CHECK(is_running(exec.pid.value()));
}

TEST_CASE("READY=1 counts in place of HTTP, also of a backend that never answers") {
    const Instance instance;
    instance.create("mute", {}, {test_backend(), "--mute"});
    const BackendInfo backend = instance.start("mute");
    REQUIRE(eventually([&] { return connections_to(backend.port) > 0; }));
    CHECK(instance.status(backend.id) == Status::waiting);
    REQUIRE(notify(notify_socket_in(environment_of(backend.pid.value())), "READY=1\n"));
    CHECK(eventually([&] { return instance.is_ready(backend); }, std::chrono::seconds(1)));
}

TEST_CASE("whatever the sign, a port that a stranger has is no backend's; with 'any' it may be") {
    const Instance instance;
    const std::vector<std::string> silent =
        sh("echo open-for-business; until test -e $GATES/ready; do sleep 0.01; done; exec \"$0\" "
           "--never-listen");
    std::vector<Kind> all = kinds;
    all.pop_back();
    all.push_back({"plain", {}});
    std::vector<std::pair<BackendInfo, Child>> robbed;
    instance.open_gate("k");
    for (const Kind& kind : all) {
        std::vector<std::string> options = kind.options;
        options.insert(options.end(), {"--startup", "12"});
        instance.create(kind.name, options, silent);
        const BackendInfo backend = instance.start(kind.name);
        robbed.emplace_back(backend, stranger_on(backend.port));
        Instance::ask(backend, "/heal");
    }
    instance.create("notify", {"--startup", "12"}, silent);
    const BackendInfo notifier = instance.start("notify");
    REQUIRE(notify(notify_socket_in(environment_of(notifier.pid.value())), "READY=1"));
    robbed.emplace_back(notifier, stranger_on(notifier.port));

    for (const Kind& kind : all) {
        CAPTURE(kind.name);
        std::vector<std::string> options = kind.options;
        options.insert(options.end(), {"--port-owner", "any"});
        instance.create(kind.name + "-any", options, silent);
        const BackendInfo backend = instance.start(kind.name + "-any");
        const Child stranger = stranger_on(backend.port);
        Instance::ask(backend, "/heal");
        CHECK(eventually([&] { return instance.is_ready(backend); }));
    }
    for (const auto& [backend, stranger] : robbed) {
        const BackendId id = backend.id;
        REQUIRE(eventually([&] { return instance.status(id) == Status::terminated; }, long_wait));
        const auto statuses = instance.home.backend(id).statuses;
        CHECK(statuses.back().reason == TerminationReason::startuptimeout);
        CHECK(std::ranges::find(statuses, Status::ready, &StatusChange::status) == statuses.end());
    }
}

TEST_CASE("a sign that didn't come by the limit is told, with the command that changes it") {
    const Instance instance;
    std::vector<std::pair<Child, std::vector<std::string>>> calls;
    const auto begin = [&](const std::string& name, std::vector<std::string> options,
                           std::vector<std::string> words) {
        options.insert(options.end(), {"--startup", "3"});
        instance.create(name, options);
        calls.emplace_back(instance.home.start_jamsock({"connect", name, "--key", "k"}), words);
    };
    begin("log", {"--ready-log", "^op+en$"},
          {"no line of its output matched '^op+en$'.",
           "Try: jamsock service update log --ready-log REGEX\n"});
    begin("path", {"--ready-path", "/health"},
          {"GET /health answered 503.", "Try: jamsock service update path --ready-path PATH\n"});
    begin("exec", {"--ready-exec", "exit 7"},
          {"the command 'exit 7' exited with code 7.",
           "Try: jamsock service update exec --ready-exec COMMAND\n"});
    for (auto& [call, words] : calls) {
        const RunResult refused = call.wait();
        CAPTURE(refused.err);
        CHECK(refused.exit_code == 5);
        CHECK(refused.err.find("was not ready within 3 s: ") != std::string::npos);
        for (const std::string& word : words)
            CHECK(refused.err.find(word) != std::string::npos);
    }
}

TEST_CASE("a listening socket is handed over, is nobody else's, and serves through the proxy") {
    const Instance instance;
    instance.create("fd", {"--listen-fd"}, {test_backend(), "--listen-fd"});
    const std::string url = instance.home.output_of({"connect", "fd", "--key", "k"});
    const BackendInfo backend = instance.home.backend(instance.home.keys().at(0).backend_id);
    const std::string environment = fetch(url + "env").body;
    CHECK(environment.find(fmt::format("PORT={}\n", backend.port)) != std::string::npos);
    CHECK(environment.find("LISTEN_FDS=1\n") != std::string::npos);
    CHECK(environment.find(fmt::format("LISTEN_PID={}\n", *backend.pid)) != std::string::npos);

    const Descriptors open = descriptors_of(*backend.pid);
    const std::string socket = open.at(3);
    CHECK(socket.starts_with("socket:"));
    CHECK(open.rbegin()->second.starts_with(instance.home.path() + "/locks/"));
    for (const pid_t other : {parent_of(*backend.pid), instance.home.worker()}) {
        const Descriptors others = descriptors_of(other);
        CHECK(std::ranges::none_of(others, [&](const auto& it) { return it.second == socket; }));
    }
    instance.home.output_of({"terminate", backend.id.str()});
    CHECK(Instance::ask(backend, "/").status == 0);
    CHECK(fetch(instance.home.output_of({"connect", "fd", "--key", "k"})).status == 200);
}

TEST_CASE("the wait goes on under another daemon, and a sign that came in between counts") {
    const Instance instance;
    std::vector<std::pair<Kind, BackendInfo>> before, after;
    for (const Kind& kind : kinds) {
        instance.create(kind.name, kind.options);
        before.emplace_back(kind, instance.start(kind.name, "before"));
        after.emplace_back(kind, instance.start(kind.name, "after"));
    }
    instance.home.output_of({"daemon", "stop"});
    for (const auto& [kind, backend] : before) {
        const BackendInfo& waited_for = backend;
        REQUIRE(eventually([&] { return Instance::ask(waited_for, "/pid").status == 200; }));
        instance.give_sign(kind, backend);
    }
    instance.home.output_of({"daemon", "start"});
    for (const auto& [kind, backend] : before) {
        CAPTURE(kind.name);
        const BackendInfo& waited_for = backend;
        CHECK(eventually([&] { return instance.is_ready(waited_for); }));
    }
    for (const auto& [kind, backend] : after) {
        CAPTURE(kind.name);
        CHECK(instance.status(backend.id) == Status::waiting);
        instance.give_sign(kind, backend);
        const BackendInfo& waited_for = backend;
        CHECK(eventually([&] { return instance.is_ready(waited_for); }));
    }
}

TEST_CASE(
    "the startup limit counts from the backend's start, however often the daemon is another") {
    const Instance instance;
    instance.create("late", {"--startup", "5"}, {test_backend(), "--never-listen"});
    const BackendInfo backend = instance.start("late");
    CHECK(eventually(
        [&] {
            instance.home.output_of({"daemon", "restart"});
            return instance.status(backend.id) == Status::terminated;
        },
        long_wait));
    CHECK(instance.home.backend(backend.id).statuses.back().reason ==
          TerminationReason::startuptimeout);
}

TEST_CASE("a shim that is reached anew has its backend watched no second time") {
    const Instance instance;
    instance.create("mute", {}, {test_backend(), "--mute"});
    const BackendInfo backend = instance.start("mute");
    const std::string socket =
        instance.home.path() + "/backends/" + backend.id.str() + "/shim.sock";
    for (int i = 0; i < 5; ++i) {
        const UniqueFd other(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::connect(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        // The newest connection counts: ours ends when the daemon has come back.
        std::array<char, 4096> bytes;
        while (::recv(other.get(), bytes.data(), bytes.size(), 0) > 0)
            continue;
    }
    CHECK(eventually([&] { return connections_to(backend.port) == 1; }));
    for (int i = 0; i < 50; ++i) {
        CHECK(instance.status(backend.id) == Status::waiting);
        CHECK(connections_to(backend.port) <= 1);
    }
}
