// Jamsocket's API asked of the real daemon, where a real backend or a real client's bytes matter.
#include <doctest/doctest.h>
#include <httplib.h>

#include "common/runtime_paths.h"
#include "common/service_types.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr const char* connect_target = "/v2/service/local/default/connect";

ConnectResponse begin(const Home& home, const std::string& key,
                      const std::vector<std::string>& options = {}) {
    ConnectRequest request{.key = *Key::parse(key)};
    request.command = Command{{test_backend()}, "/"};
    request.command->argv.insert(request.command->argv.end(), options.begin(), options.end());
    return home.connect(request, /*wait=*/false).value();
}

// The path of a URL of the API.
std::string path_of(const std::string& url) {
    return url.substr(url.find('/', std::string_view("http://").size()));
}

httplib::Result ready(const Home& home, const ConnectResponse& backend, const char* accept) {
    return home.client()->Get(path_of(backend.ready_url), {{"Accept", accept}});
}

// As the npm command line sends it: the length in UTF-16 units, which `units` are.
std::string npm_request(const std::string& target, const std::string& body, std::size_t units) {
    return "POST " + target +
           " HTTP/1.1\r\nUser-Agent: jamsocket-cli/0.10.7 linux-x64 node-v20.19.2\r\n"
           "Content-Length: " +
           std::to_string(units) +
           "\r\nContent-Type: application/json\r\nHost: localhost:8080\r\n"
           "Connection: keep-alive\r\n\r\n" +
           body;
}

RawSocket socket_of(const Home& home) {
    return RawSocket::connect(home.path() + "/" + state_file::socket);
}

std::string body_of(const std::string& response) {
    return response.substr(std::min(response.size(), response.find("\r\n\r\n") + 4));
}

}  // namespace

TEST_CASE("a key that is no ASCII arrives whole from the npm command line, at once or in pieces") {
    const Home home;
    home.output_of({"daemon", "start"});
    std::string long_key;
    for (int i = 0; i < 128; ++i)
        long_key += "\U0001F600";
    for (const auto& [key, units] :
         {std::pair{std::string("döc-é"), std::size_t{5}},
          std::pair{std::string("😀"), std::size_t{2}}, std::pair{long_key, std::size_t{256}}}) {
        const std::string body = R"({"key":")" + key + "\"}";
        const std::string request = npm_request(connect_target, body, units + 10);
        for (const std::size_t first : {request.size(), request.size() - 3}) {
            RawSocket client = socket_of(home);
            client.send(request.substr(0, first));
            if (first < request.size()) CHECK(client.is_silent());
            client.send(request.substr(first));
            const std::string answer = client.read_response();
            CHECK(answer.starts_with("HTTP/1.1 200 "));
            CHECK(answer.find("Connection: close\r\n") != std::string::npos);
            CHECK(ConnectResponse::from_json(body_of(answer)));
        }
    }
    const auto keys = home.keys();
    REQUIRE(keys.size() == 3);
    CHECK(keys[0].key->str() == "döc-é");
    CHECK(keys[2].key->str() == long_key);
}

TEST_CASE("nothing behind a short length becomes a request, and others' lengths are strict") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::string body = R"({"key":"döc"})";
    const std::string smuggled =
        "POST /v2/service/local/default/connect HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "13\r\n\r\n{\"key\":\"bad\"}";
    RawSocket npm = socket_of(home);
    npm.send(npm_request(connect_target, body, body.size() - 1) + smuggled);
    CHECK(npm.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(npm.read_to_end().empty());
    REQUIRE(home.keys().size() == 1);
    CHECK(home.keys()[0].key->str() == "döc");

    RawSocket other = socket_of(home);
    std::string request = npm_request(connect_target, body, body.size() - 1);
    request.replace(request.find("jamsocket-cli"), 13, "somebody-else");
    other.send(request + "\r\n\r\n");
    CHECK(other.read_response().starts_with("HTTP/1.1 400 "));
    CHECK(other.read_response().starts_with("HTTP/1.1 400 "));

    RawSocket ascii = socket_of(home);
    ascii.send(npm_request(connect_target, R"({"key":"doc")", 12));
    CHECK(ascii.read_response().starts_with("HTTP/1.1 400 "));
}

TEST_CASE("whoever waits for a backend is told that it is ready, or how it ended") {
    const Home home;
    home.output_of({"daemon", "start"});
    const auto slow = begin(home, "slow", {"--slow-start", "300"});
    const auto page = ready(home, slow, "text/html");
    REQUIRE(page);
    CHECK(page->status == 200);
    CHECK(page->get_header_value("Content-Type") == "text/html; charset=utf-8");
    CHECK(page->body.find("<h1>Starting</h1>") != std::string::npos);
    const auto json = ready(home, slow, "application/json");
    REQUIRE(json);
    CHECK(json->get_header_value("Content-Type") == "application/json");
    CHECK(json->body.starts_with(R"({"status":"ready","time":")"));
    const auto at_ready = ready(home, slow, "text/html,application/json");
    REQUIRE(at_ready);
    CHECK(at_ready->status == 303);
    CHECK(at_ready->get_header_value("Location") == slow.url);
    CHECK(at_ready->get_header_value("Referrer-Policy") == "no-referrer");
    CHECK(fetch(slow.url).status == 200);

    const auto broken = begin(home, "broken", {"--exit", "3"});
    const auto ended = ready(home, broken, "application/json");
    REQUIRE(ended);
    CHECK(ended->status == 200);
    CHECK(ended->body.starts_with(R"({"status":"terminated")"));
    CHECK(ended->body.ends_with(R"("exit_error":true})"));
    const auto told = ready(home, broken, "*/*");
    REQUIRE(told);
    CHECK(told->status == 200);
    CHECK(told->body.find("<title>It did not start · jamsock</title>") != std::string::npos);
}

TEST_CASE("version 1 tells a whole life in its own words, each once") {
    const Home home;
    home.output_of({"daemon", "start"});
    const Answer spawned = home.post("/v1/user/local/service/default/spawn",
                                     R"({"lock":"doc","service_environment":"default"})");
    CHECK(spawned.status == 200);
    REQUIRE(home.keys().size() == 1);
    const std::string id = home.keys()[0].backend_id.str();
    CHECK(eventually([&] {
        return home.get("/backend/" + id + "/status").body.starts_with(R"({"state":"Ready")");
    }));
    CHECK(home.post("/backend/" + id + "/terminate", "").body == R"({"status":"ok"})");
    const std::string events = home.get("/backend/" + id + "/status/stream").body;
    std::vector<std::string> states;
    for (auto at = events.find("data:"); at != std::string::npos; at = events.find("data:", at + 1))
        states.push_back(events.substr(at, events.find(',', at) - at));
    CHECK(states ==
          std::vector<std::string>{R"(data:{"state":"Loading")", R"(data:{"state":"Starting")",
                                   R"(data:{"state":"Ready")", R"(data:{"state":"Terminated")"});
    CHECK(home.get("/backend/" + id + "/status").body.starts_with(R"({"state":"Terminated")"));
}

TEST_CASE("the backends of a service end together, and are listed until they have") {
    const Home home;
    home.output_of({"daemon", "start"});
    const auto one = home.connect({.key = *Key::parse("one")}).value();
    const auto two = home.connect({.key = *Key::parse("two")}).value();
    const std::string listed = home.get("/v2/account/local/backends").body;
    for (const ConnectResponse& backend : {one, two})
        CHECK(listed.find(R"("id":")" + backend.backend_id.str()) != std::string::npos);
    const char* target = "/service/local/default/terminate-backends";
    CHECK(home.post(target, R"({"before":"2999-01-01T00:00:00Z","dry_run":true})").body ==
          R"({"backend_count":2,"terminated_count":0,"is_complete":false})");
    CHECK(home.post(target, R"({"before":"2999-01-01T00:00:00Z","hard":true})").body ==
          R"({"backend_count":2,"terminated_count":2,"is_complete":true})");
    CHECK(eventually([&] {
        return home.get("/v2/account/local/backends").body == R"({"running_backends":[]})";
    }));
    CHECK(home.backend(one.backend_id).statuses.back().reason == TerminationReason::external);
}
