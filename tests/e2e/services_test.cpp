// Services through the real programs: named programs, their environments, and their keys.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "common/clock.h"
#include "common/service_types.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// A node program in a directory of its own; started there by a relative name.
struct NodeApp {
    TemporaryDirectory directory;

    NodeApp() {
        std::ofstream(directory.path("server.js")) << R"js(
            const http = require('http');
            const { PORT, HOST, SESSION_BACKEND_KEY, MODE } = process.env;
            http.createServer((request, response) => {
                response.end([SESSION_BACKEND_KEY, MODE, process.cwd()].join(' '));
            }).listen(PORT, HOST);
        )js";
    }

    std::vector<std::string> create(const std::string& service, const std::string& mode) const {
        return {"service", "create",       service, "--cwd", directory.path(),
                "-e",      "MODE=" + mode, "--",    "node",  "server.js"};
    }
};

std::string connect(const Home& home, const std::string& service, const std::string& key) {
    return fetch(home.output_of({"connect", service, "--key", key})).body;
}

ServiceInfo info(const Home& home, const std::string& service) {
    return ServiceInfo::from_json(home.output_of({"service", "info", service, "--json"})).value();
}

}  // namespace

TEST_CASE("a node server per document; one key in two services is two backends") {
    const Home home;
    const NodeApp app;
    home.output_of(app.create("editor", "edit"));
    home.output_of(app.create("viewer", "view"));
    CHECK(connect(home, "editor", "doc-1") == "doc-1 edit " + app.directory.path());
    CHECK(connect(home, "editor", "doc-2") == "doc-2 edit " + app.directory.path());
    CHECK(connect(home, "viewer", "doc-1") == "doc-1 view " + app.directory.path());
    CHECK(home.keys().size() == 3);
    CHECK(connect(home, "editor", "doc-1").starts_with("doc-1 edit"));
    CHECK(home.keys().size() == 3);
    CHECK(home.jamsock({"lookup", "--key", "doc-1"}).exit_code == 3);
}

TEST_CASE("an environment has what its service has, and what it sets itself") {
    const Home home;
    const NodeApp app;
    home.output_of(app.create("editor", "production"));
    home.output_of({"service", "create", "editor/staging", "-e", "MODE=staging", "--grace", "3"});
    CHECK(connect(home, "editor/staging", "doc-1") == "doc-1 staging " + app.directory.path());
    const RunResult other = home.jamsock({"connect", "editor", "--key", "doc-1"});
    CHECK(other.exit_code == 6);
    CHECK(other.out.empty());
    CHECK(other.err.find("'editor/staging'") != std::string::npos);
    CHECK(home.output_of({"list"}).find("editor/staging") != std::string::npos);

    const auto environments = info(home, "editor").environments;
    REQUIRE(environments.size() == 2);
    CHECK_FALSE(environments[0].last_spawned_at);
    CHECK(environments[1].last_spawned_at);
    CHECK_FALSE(environments[1].definition.command);
}

TEST_CASE("a delete refuses while backends run, and with --force ends them first") {
    const Home home;
    const NodeApp app;
    home.output_of(app.create("editor", "m"));
    home.output_of(app.create("viewer", "m"));
    const auto editor = ConnectResponse::from_json(
        home.output_of({"connect", "editor", "--key", "doc-1", "--json"}));
    REQUIRE(editor);
    const std::string url = editor->url;
    const BackendId id = editor->backend_id;
    home.output_of({"connect", "viewer", "--key", "doc-1"});

    const RunResult refused = home.jamsock({"service", "delete", "editor"});
    CHECK(refused.exit_code == 6);
    CHECK(refused.err.find("jamsock service delete editor --force") != std::string::npos);
    CHECK(fetch(url).status == 200);
    CHECK(home.keys().size() == 2);

    home.output_of({"service", "delete", "editor", "--force"});
    CHECK(fetch(url).status == 410);
    CHECK(home.backend(id).statuses.back().status == Status::terminated);
    REQUIRE(home.keys().size() == 1);
    CHECK(home.keys()[0].service.service() == "viewer");
    CHECK(home.jamsock({"connect", "editor", "--key", "doc-1"}).exit_code == 4);
    CHECK(home.jamsock({"service", "delete", "editor"}).exit_code == 4);
}

TEST_CASE("a service keeps the PATH and the directory of whoever made it, over a restart") {
    const Home home;
    const NodeApp app;
    RunOptions maker = home.options();
    maker.directory = app.directory.path();
    maker.environment["PATH"] = "/opt/of-the-maker:/usr/local/bin:/usr/bin:/bin";
    REQUIRE(
        home.jamsock({"service", "create", "editor", "--", "node", "server.js"}, maker).exit_code ==
        0);
    home.output_of({"daemon", "restart"});
    home.output_of({"connect", "editor", "--key", "doc-1"});
    const BackendInfo backend = home.backend(home.keys().at(0).backend_id);
    CHECK(backend.command.argv.front().front() == '/');
    CHECK(backend.command.cwd == app.directory.path());
    const auto environment = environment_of(backend.pid.value());
    CHECK(std::ranges::count(environment, "PATH=" + maker.environment["PATH"]) == 1);
}

TEST_CASE("an update holds for backends to come; those that run stay") {
    const Home home;
    const NodeApp app;
    home.output_of(app.create("editor", "old"));
    CHECK(connect(home, "editor", "doc-1").starts_with("doc-1 old"));
    home.output_of({"service", "update", "editor", "-e", "MODE=new", "--startup", "20"});
    CHECK(connect(home, "editor", "doc-1").starts_with("doc-1 old"));
    CHECK(connect(home, "editor", "doc-2").starts_with("doc-2 new"));
    home.output_of({"service", "update", "editor", "--unset", "MODE", "--startup", "default"});
    CHECK(info(home, "editor").environments[0].definition.limits == Limits{});
    CHECK(connect(home, "editor", "doc-3").starts_with("doc-3  "));
}

TEST_CASE("what can't become a service is refused, and nothing changes") {
    const Home home;
    const NodeApp app;
    home.output_of(app.create("editor", "m"));
    const std::string before = home.output_of({"service", "info", "editor", "--json"});
    const auto refused = [&](std::vector<std::string> words, int exit_code,
                             const std::string& told) {
        words.insert(words.begin(), "service");
        const RunResult result = home.jamsock(words);
        CAPTURE(told);
        CAPTURE(result.err);
        CHECK(result.exit_code == exit_code);
        CHECK(result.out.empty());
        CHECK(result.err.find(told) != std::string::npos);
    };
    refused({"create", "x", "--", "no-such-program"}, 2, "no program 'no-such-program' in PATH");
    refused({"create", "x", "--", "/etc/passwd"}, 2, "chmod +x /etc/passwd");
    refused({"create", "x", "--cwd", "/no/such", "--", "node"}, 2, "'/no/such'");
    refused({"create", "x"}, 2, "needs a command");
    refused({"create", "x", "--"}, 2, "a command to run");
    refused({"create", "editor", "--", "node"}, 6, "jamsock service update editor");
    refused({"create", "nobody/staging", "-e", "A=1"}, 4, "jamsock service create nobody");
    refused({"create", "x", "-e", "PORT=1", "--", "node"}, 2, "PORT");
    refused({"create", "x", "-e", "A", "--", "node"}, 2, "NAME=VALUE");
    refused({"create", "bad name", "--", "node"}, 2, "'bad name'");
    refused({"create", "", "--", "node"}, 2, "Give the name");
    refused({"create"}, 2, "Give the name");
    refused({"create", "x/", "--", "node"}, 2, "'x/'");
    refused({"create", "x", "--max-idle", "soon", "--", "node"}, 2, "'soon'");
    refused({"create", "x", "--grace", "86401", "--", "node"}, 2, "0 to 86400");
    refused({"create", "x", "--startup=", "--", "node"}, 2, "--startup");
    refused({"create", "x", "--cmd", "node"}, 2, "Did you mean '--cwd'?");
    refused({"update", "nobody", "--grace", "1"}, 4, "'nobody'");
    refused({"update", "editor", "--cwd", "/"}, 2, "--cwd");
    refused({"update", "editor"}, 2, "No change is given.");
    refused({"update", "editor", "--unset", "A=B"}, 2, "'A=B'");
    refused({"update", "editor", "--unset", "A", "-e", "A=1"}, 2, "both set and taken away");
    refused({"info", "editor/nope"}, 4, "'editor/nope'");
    refused({"crate", "x", "--", "node"}, 2, "Did you mean 'create'?");
    CHECK(home.output_of({"service", "info", "editor", "--json"}) == before);
    CHECK(home.output_of({"service", "list", "--json"}) == R"({"services":["default","editor"]})");
    CHECK(home.keys().empty());
}

TEST_CASE("a program that is gone since its service was made is SpawnFailed at connect") {
    const Home home;
    const TemporaryDirectory directory;
    const std::string program = directory.path("server");
    REQUIRE(run({"/bin/cp", "/bin/sh", program}, home.options()).exit_code == 0);
    home.output_of({"service", "create", "editor", "--", program});
    std::filesystem::remove(program);
    const RunResult failed = home.jamsock({"connect", "editor", "--key", "k"});
    CHECK(failed.exit_code == 5);
    CHECK(failed.err.find(program) != std::string::npos);
    CHECK(failed.err.find("Try: jamsock service update editor -- COMMAND") != std::string::npos);
    CHECK(home.keys().empty());
}

TEST_CASE("a service's limits end its backends: idle, lifetime, startup, grace") {
    const Home home;
    const auto make = [&](const char* service, std::vector<std::string> options) {
        std::vector<std::string> words{"service", "create", service};
        words.insert(words.end(), options.begin(), options.end());
        home.output_of(words);
    };
    const auto ended = [&](const BackendId& id) {
        const StatusChange last = home.backend(id).statuses.back();
        return last.status == Status::terminated ? last.reason : std::nullopt;
    };
    const auto started = [&](const char* service) {
        return ConnectResponse::from_json(
                   home.output_of({"connect", service, "--key", "k", "--json"}))
            ->backend_id;
    };
    make("idle", {"--max-idle", "1", "--", test_backend()});
    make("old", {"--lifetime", "8", "--", test_backend()});
    make("late", {"--startup", "1", "--", test_backend(), "--never-listen"});
    make("deaf", {"--grace", "1", "--", test_backend(), "--ignore-term"});
    const BackendId old = started("old");
    CHECK(home.backend(old).expires_at);
    const BackendId idle = started("idle");

    const auto before = BootClock::now();
    const RunResult late = home.jamsock({"connect", "late", "--key", "k"});
    CHECK(late.exit_code == 5);
    CHECK(late.err.find("within 1 s") != std::string::npos);
    CHECK(BootClock::now() - before < std::chrono::seconds(25));

    const BackendId deaf = started("deaf");
    home.output_of({"terminate", deaf.str()});
    CHECK(home.backend(deaf).statuses.back().exit == ProcessExit{std::nullopt, 9});

    CHECK(eventually([&] { return ended(idle) == TerminationReason::swept; }));
    CHECK(eventually([&] { return ended(old) == TerminationReason::swept; }));
}

TEST_CASE("a lifetime ends while no daemon runs, and is known afterwards") {
    const Home home;
    home.output_of({"service", "create", "old", "--lifetime", "6", "--", test_backend()});
    home.output_of({"connect", "old", "--key", "k"});
    const BackendId id = home.keys().at(0).backend_id;
    const pid_t pid = home.backend(id).pid.value();
    home.output_of({"daemon", "stop"});
    CHECK(eventually([&] { return !is_running(pid); }));
    home.output_of({"daemon", "start"});
    const auto last = [&] { return home.backend(id).statuses.back(); };
    // Its shim may still be writing that all of it is gone.
    CHECK(eventually([&] { return last().status == Status::terminated; }));
    CHECK(last().reason == TerminationReason::swept);
}

TEST_CASE("services over the API: as Jamsocket's clients ask") {
    const Home home;
    home.output_of({"daemon", "start"});
    const auto post = [&](const std::string& target, const std::string& body) {
        const Answer answer = home.post(target, body);
        return fmt::format("{} {}", answer.status,
                           answer.status == 200
                               ? answer.body
                               : info(error_from_json(answer.body, answer.status).code).name);
    };
    const std::string account = "/v2/account/local/service";
    const std::string editor = "/v2/service/local/editor";
    CHECK(post(account, R"({"name":"editor"})") == R"(200 {"status":"ok"})");
    CHECK(post(account, R"({"name":"editor"})") == "409 Conflict");
    CHECK(post("/v2/account/acme/service", R"({"name":"x"})") == "403 Forbidden");
    CHECK(post(editor + "/connect", R"({"key":"k"})") == "500 SpawnFailed");
    CHECK(post(editor + "/update", fmt::format(R"({{"command":["{}"],"cwd":"/"}})",
                                               test_backend())) == R"(200 {"status":"ok"})");
    const std::string before = home.get(editor).body;
    CHECK(post(editor + "/update", R"({"command":["/no/such"],"cwd":"/"})") ==
          "400 InvalidRequest");
    CHECK(post(editor + "/update", R"({"comand":["/bin/sh"]})") == "400 InvalidRequest");
    CHECK(home.post(editor + "/update", R"({"comand":["/bin/sh"]})").body.find("'comand'") !=
          std::string::npos);
    CHECK(post(editor + "/update", R"({"image_tag":"v1"})") == "501 Unsupported");
    CHECK(home.get(editor).body == before);
    CHECK(post(editor + "/connect?wait=ready", R"({"key":"k"})").starts_with("200"));
    CHECK(post(editor + "/delete", "") == "409 Conflict");
    CHECK(home.get(editor + "/images").body == R"({"images":[]})");
    CHECK(home.get("/service/local/editor/image-name").status == 501);
    CHECK(home.get("/v2/account/-/services").body == R"({"services":["default","editor"]})");
    CHECK(home.get(editor).body.find("null") == std::string::npos);
    CHECK(post(editor + "/delete", R"({"force":true})") == R"(200 {"status":"ok"})");
    CHECK(home.get(editor).status == 404);
    CHECK(home.keys().empty());
}
