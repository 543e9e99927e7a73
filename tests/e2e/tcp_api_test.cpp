// The API over TCP: its ports, its token, and what it keeps over restarts.
#include <doctest/doctest.h>
#include <httplib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/api_token.h"
#include "common/api_types.h"
#include "common/runtime_paths.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

std::string token_of(const Home& home) {
    std::string text;
    std::ifstream(home.path() + "/api-token") >> text;
    return text;
}

// The status of the list of keys over TCP; 0: no answer.
int ask(const char* host, std::uint16_t port, const std::string& token) {
    httplib::Client client(host, port);
    client.set_bearer_token_auth(token);
    const auto result = client.Get("/v2/account/local/keys");
    return result ? result->status : 0;
}

// The error that a connect over TCP, which waits, is answered with.
Error refused(const Home& home, const std::string& service, const std::string& body) {
    const std::string target = "/v2/service/local/" + service + "/connect?wait=ready";
    const Answer answer = home.post_tcp(target, body);
    REQUIRE(answer.status >= 400);
    return error_from_json(answer.body, answer.status);
}

}  // namespace

TEST_CASE("the API is answered on 127.0.0.1 and [::1] for who has the token of its file") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::uint16_t port = home.version()->api_port;
    const std::string token = token_of(home);
    CHECK(is_api_token(token));
    struct stat status {};
    REQUIRE(::stat((home.path() + "/api-token").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(ask("127.0.0.1", port, token) == 200);
    CHECK(ask("::1", port, token) == 200);
    CHECK(ask("127.0.0.1", port, "-") == 401);
    CHECK(ask("127.0.0.1", port, "local.wrong") == 401);
}

TEST_CASE("port and token of the API stay over restarts and crashes") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::uint16_t port = home.version()->api_port;
    const std::string token = token_of(home);

    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    CHECK(eventually([&] { return ask("127.0.0.1", port, token) == 200; }));
    CHECK(home.worker() != worker);

    home.output_of({"daemon", "restart"});
    CHECK(ask("127.0.0.1", port, token) == 200);
    home.output_of({"daemon", "stop"});
    home.output_of({"daemon", "start"});
    CHECK(home.version()->api_port == port);
    CHECK(ask("127.0.0.1", port, token) == 200);
}

TEST_CASE("a file that holds no token gets a new one") {
    const Home home;
    std::ofstream(home.path() + "/api-token") << "secret\n";
    home.output_of({"daemon", "start"});
    CHECK(ask("127.0.0.1", home.version()->api_port, "secret") == 401);
    CHECK(ask("127.0.0.1", home.version()->api_port, token_of(home)) == 200);
}

TEST_CASE("dev mode is told when the daemon starts, and by its status") {
    const auto traces = [](const Home& home) {
        home.output_of({"daemon", "start"});
        const bool is_in_log =
            home.output_of({"daemon", "logs"}).find("dev mode: the API takes the token '-'") !=
            std::string::npos;
        const bool is_in_status =
            home.output_of({"daemon", "status"}).find("\ndev mode ") != std::string::npos;
        return std::pair(is_in_log, is_in_status);
    };
    const Home home;
    std::ofstream(home.path() + "/config.toml") << "dev = true\n";
    CHECK(traces(home) == std::pair(true, true));
    CHECK(ask("127.0.0.1", home.version()->api_port, "-") == 200);
    const Home usual;
    CHECK(traces(usual) == std::pair(false, false));
}

TEST_CASE("a taken port of the API is replaced, said in the log and remembered") {
    const Home first;
    first.output_of({"daemon", "start"});
    const std::uint16_t taken = first.version()->api_port;
    const Home home;
    RunOptions options = home.options();
    options.environment["JAMSOCK_API_PORT"] = std::to_string(taken);
    REQUIRE(home.jamsock({"daemon", "start"}, options).exit_code == 0);
    const std::uint16_t port = home.version()->api_port;
    CHECK(port != taken);
    CHECK(home.output_of({"daemon", "logs"}).find("is taken; the API listens on") !=
          std::string::npos);
    CHECK(home.output_of({"daemon", "status"}).find(std::to_string(port)) != std::string::npos);
}

TEST_CASE("a Host that config.toml names passes the API and the proxy, any other gets 403") {
    const Home home;
    std::ofstream(home.path() + "/config.toml") << "hosts = [\"devbox\"]\n";
    ConnectRequest request{.key = Key::parse("doc").value()};
    request.command = Command{{test_backend()}, "/"};
    home.output_of({"daemon", "start"});
    const std::string url = home.connect(request).value().url;
    const VersionInfo version = home.version().value();
    const auto status_of = [](std::uint16_t port, const std::string& path, const char* host) {
        RawSocket client = RawSocket::connect(port);
        client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        return client.read_until("\r\n");
    };
    const std::string path = url.substr(url.find('/', std::string_view("http://").size()));
    for (const char* host : {"devbox", "DEVBOX:4000", "localhost"}) {
        CAPTURE(host);
        CHECK(status_of(version.api_port, "/healthz", host) == "HTTP/1.1 200 OK\r\n");
        CHECK(status_of(version.proxy_port, path, host) == "HTTP/1.1 200 OK\r\n");
    }
    for (const char* host : {"otherbox", "a.devbox", "devbox.example.org:4000"}) {
        CAPTURE(host);
        CHECK(status_of(version.api_port, "/healthz", host) == "HTTP/1.1 403 Forbidden\r\n");
        CHECK(status_of(version.proxy_port, path, host) == "HTTP/1.1 403 Forbidden\r\n");
    }
}

TEST_CASE("over TCP nothing of a body is read from who has no token") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::string request =
        "POST /v2/service/local/default/connect HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 1000000\r\nExpect: 100-continue\r\n";
    RawSocket stranger = RawSocket::connect(home.version()->api_port);
    stranger.send(request + "\r\n");
    CHECK(stranger.read_response().starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    CHECK(stranger.is_at_end());
    RawSocket known = RawSocket::connect(home.version()->api_port);
    known.send(request + "Authorization: Bearer " + token_of(home) + "\r\n\r\n");
    CHECK(known.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_CASE("what jamsock env prints leads curl to the daemon") {
    const Home home;
    RunOptions options = home.options();
    options.environment["PATH"] = JAMSOCK_BUILD_DIR "/bin:/usr/bin:/bin";
    const RunResult result =
        run({"/bin/sh", "-c",
             "eval \"$(jamsock env)\" && curl -sf -H \"Authorization: Bearer $JAMSOCKET_TOKEN\" "
             "\"$JAMSOCKET_API_URL/v2/service/$JAMSOCKET_ACCOUNT/$JAMSOCKET_SERVICE\" && "
             "eval \"$(jamsock env --unset)\" && echo \"${JAMSOCKET_TOKEN-unset}\""},
            options);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find(R"("name":"default")") != std::string::npos);
    CHECK(result.out.ends_with("unset\n"));
}

TEST_CASE("what jamsock env prints for an environment leads an SDK's connect there") {
    const Home home;
    home.output_of({"service", "create", "editor", "--", test_backend()});
    home.output_of({"service", "create", "editor/staging"});
    RunOptions options = home.options();
    options.environment["PATH"] = JAMSOCK_BUILD_DIR "/bin:/usr/bin:/bin";
    const RunResult result = run(
        {"/bin/sh", "-c",
         "eval \"$(jamsock env editor/staging)\" && curl -sf -X POST -H \"Authorization: Bearer "
         "$JAMSOCKET_TOKEN\" "
         "\"$JAMSOCKET_API_URL/v2/service/$JAMSOCKET_ACCOUNT/$JAMSOCKET_SERVICE/connect\""},
        options);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(home.keys().at(0).service.str() == "editor/staging");
}

TEST_CASE("over TCP no error has a path or a command of this machine, and a key is told whole") {
    const Home home;
    const TemporaryDirectory directory;
    const std::string program = directory.path("run");
    std::filesystem::copy_file(test_backend(), program);
    home.output_of({"service", "create", "gone", "--", program});
    home.output_of({"service", "create", "slow", "--startup", "1", "--ready-exec",
                    "PATH=/opt/x:/srv/y false", "--", program});
    CHECK(
        refused(home, "slow", R"({"key":"/docs/a"})")
            .message.ends_with(
                " was not ready within 1 s: its service's readiness command exited with code 1."));

    home.output_of({"service", "create", "ends", "--", "/bin/sh", "-c", "echo /srv/x; exit 3"});
    const Error ends = refused(home, "ends", R"({"key":"k"})");
    CHECK(ends.message.ends_with(" exited with code 3 before it was ready."));
    CHECK(ends.log_tail.empty());
    CHECK(home.jamsock({"connect", "ends", "--key", "k"}).err.find("/srv/x") != std::string::npos);

    std::filesystem::remove(program);
    const Error gone = refused(home, "gone", R"({"key":"/docs/readme"})");
    CHECK(gone.code == ErrorCode::spawn_failed);
    CHECK(gone.message == "The backend's program can't be run: No such file or directory.");
    CHECK(gone.hint.empty());
    const RunResult here = home.jamsock({"connect", "gone", "--key", "/docs/readme"});
    CHECK(here.err.find(program + "' can't be run") != std::string::npos);

    const Error unheld = refused(home, "gone", R"({"key":"/docs/readme","spawn":false})");
    CHECK(unheld.message == "No backend holds the key '/docs/readme'.");
    CHECK(unheld.hint == "jamsock connect gone --key /docs/readme");
}

TEST_CASE("idle connections are closed before streams end, whatever another socket's client does") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request{.key = Key::parse("doc").value()};
    request.command = Command{{test_backend()}, "/"};
    const BackendId id = home.connect(request).value().backend_id;
    const auto over_tcp = [&](const std::string& target) {
        RawSocket client = RawSocket::connect(home.version()->api_port);
        client.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return client;
    };
    RawSocket idle = over_tcp("/healthz");
    CHECK(idle.read_response().starts_with("HTTP/1.1 200 "));
    RawSocket stream = over_tcp("/v2/backend/" + id.str() + "/status/stream");
    CHECK(stream.read_until("\"ready\"").ends_with("\"ready\""));
    RawSocket slow = RawSocket::connect(home.path() + "/" + state_file::socket);
    slow.send(
        "POST /v2/service/local/default/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
        "Expect: 100-continue\r\n\r\n");
    CHECK(slow.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 "));

    Child stop = home.start_jamsock({"daemon", "stop"});
    CHECK(stream.read_to_end().ends_with("0\r\n\r\n"));
    CHECK_FALSE(idle.is_silent(std::chrono::milliseconds(0)));
    CHECK(idle.is_at_end());
    slow.close();
    CHECK(stop.wait().exit_code == 0);
    home.output_of({"daemon", "start"});  // so that the backend can be ended
}

TEST_CASE("the log has no token of a path that is written a little wrong") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request{.key = Key::parse("doc").value()};
    request.command = Command{{test_backend()}, "/"};
    const ConnectResponse backend = home.connect(request).value();
    const std::string ready = "/ready/" + backend.backend_id.str() + "/" + backend.token;
    CHECK(home.get(ready).status == 404);
    CHECK(home.post(ready + "/", "").status == 405);
    CHECK(home.get("/v2/backend/" + backend.token + "/status").status == 400);
    std::ifstream file(home.path() + "/" + state_file::log);
    const std::string log{std::istreambuf_iterator<char>(file), {}};
    CHECK(log.find("failed: NotFound") != std::string::npos);
    CHECK(log.find(backend.token) == std::string::npos);
}
