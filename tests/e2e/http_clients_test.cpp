// HTTP in all its forms through the real programs: curl, node and exact bytes on one side, a node
// server on the other.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;
using nlohmann::json;

namespace {

// Whether `head` has the field line, in any letter case.
bool has_line(std::string head, const std::string& line) {
    std::ranges::transform(head, head.begin(), [](unsigned char c) { return std::tolower(c); });
    return head.find("\r\n" + line + "\r\n") != std::string::npos;
}

std::string repeated(const std::string& text, int times) {
    std::string all;
    for (int count = 0; count < times; ++count)
        all += text;
    return all;
}

std::string chunks(int count) {
    std::string all;
    for (int number = 0; number < count; ++number)
        all += fmt::format("chunk {}\n", number);
    return all;
}

// Options of curl: what it says after each answer, when it has finished.
std::vector<std::string> saying(const std::string& what, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--write-out", what + "\n"});
    return arguments;
}

constexpr const char* sizes = "%{http_code} %{size_download} %{size_upload}";

}  // namespace

TEST_CASE("answers without a body end with their head, and the connection goes on") {
    const WebBackend backend;
    const std::string head = curl({"--head", backend.url("sized")});
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(has_line(head, "content-length: 10"));
    for (const char* code : {"204", "304"}) {
        const std::string answer =
            curl(saying(sizes, {"--include", backend.url("status?code=" + std::string(code))}));
        CAPTURE(answer);
        CHECK(answer.starts_with(fmt::format("HTTP/1.1 {} ", code)));
        CHECK(has_line(answer, "etag: \"one\""));
        CHECK(answer.ends_with(fmt::format("{} 0 0\n", code)));
    }
    const std::string all = curl(saying(
        " %{http_code} %{num_connects}",
        {backend.url("status?code=204"), backend.url("status?code=304"), backend.url("sized")}));
    CHECK(all == " 204 1\n 304 0\n0123456789 200 0\n");
}

TEST_CASE("ten requests go over one connection of the client") {
    const WebBackend backend;
    CHECK(curl(saying("%{num_connects}", std::vector(10, backend.url()))) ==
          "ok\n1\n" + repeated("ok\n0\n", 9));
}

TEST_CASE("a client of HTTP/1.0 gets a chunked answer as it is, and the end of the connection") {
    const WebBackend backend;
    const std::string answer = curl({"--http1.0", "--include", backend.url("chunks?count=1000")});
    CHECK(answer.find("ransfer-") == std::string::npos);
    CHECK(answer.ends_with("\r\n\r\n" + chunks(1000)));
    CHECK(curl({backend.url("chunks?count=1000")}) == chunks(1000));
}

TEST_CASE("an upload arrives as it was sent, and what the daemon vouches for with it") {
    const WebBackend backend;
    const json request =
        json::parse(curl({"--request", "PUT", "--data", "0123456789", "--header",
                          "X-Verified-Path: /forged", backend.url("request?a=b%20c&d=}")}));
    CHECK(request["method"] == "PUT");
    CHECK(request["url"] == "/request?a=b%20c&d=}");
    CHECK(request["body"] == "0123456789");
    CHECK(request.at("headers").at("x-verified-path") == backend.target("request"));
    CHECK(request.at("headers").at("x-verified-backend") == backend.entry().backend_id.str());
}

TEST_CASE("a refused expectation reaches curl, which then sends no body") {
    const WebBackend backend;
    const std::string code =
        curl(saying(sizes, {"--header", "Expect: 100-continue", "--expect100-timeout", "60",
                            "--data", "0123456789", backend.url("refused")}));
    CHECK(code == "417 0 0\n");
    CHECK(backend.seen("expected") == json{"/refused"});
}

TEST_CASE("a client that expects is told to go on when its backend says so, and not before") {
    const WebBackend backend;
    RawSocket client = backend.connect();
    client.send(
        "POST " + backend.target("request") +
        " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    REQUIRE(backend.has_seen("expected", "/request"));
    CHECK(client.is_silent());
    backend.tell("continue");
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 Continue\r\n"));
    client.send("abc");
    const std::string answer = client.read_until(R"("body":"abc")");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.ends_with(R"("body":"abc")"));
}

TEST_CASE("curl's upload goes on when its backend says so") {
    const WebBackend backend;
    backend.tell("continue");
    const json request =
        json::parse(curl({"--header", "Expect: 100-continue", "--expect100-timeout", "60", "--data",
                          "0123456789", backend.url("request")}));
    CHECK(request["body"] == "0123456789");
}

TEST_CASE("early hints reach a client of HTTP/1.1 before the answer, and none of HTTP/1.0") {
    const WebBackend backend;
    backend.check("http_client.js", "earlyHints");
    backend.tell("old");
    const std::string answer = curl({"--http1.0", "--include", backend.url("hints?name=old")});
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.ends_with("\r\n\r\nhinted\n"));
}

TEST_CASE("trailers pass both ways") {
    const WebBackend backend;
    backend.check("http_client.js", "trailers");
}

TEST_CASE("pipelined requests are answered in their order, also when the first waits") {
    const WebBackend backend;
    RawSocket client = backend.connect();
    const auto get = [&](const std::string& path) {
        return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", backend.target(path));
    };
    client.send(get("hold?name=first") + get("sized") + get("hold?name=last"));
    REQUIRE(backend.has_seen("held", "first"));
    CHECK(client.is_silent());
    backend.tell("last");
    backend.tell("first");
    const std::string first = client.read_until("first was told\n");
    const std::string second = client.read_until("0123456789");
    const std::string third = client.read_until("last was told\n");
    for (const std::string& answer : {first, second, third}) {
        CAPTURE(answer);
        CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(answer.find("HTTP/1.1", 1) == std::string::npos);
    }
}

TEST_CASE("a backend that closes its idle connections, or each after its answer, is no 502") {
    const WebBackend backend({"KEEP_ALIVE_MS=4"});
    backend.check("http_client.js", "closingBackend");
}

TEST_CASE("requests that came before the backend was ready go through when it is") {
    const TemporaryDirectory directory;
    const WebBackend backend({"LISTEN_AT=" + directory.path("now")}, /*wait=*/false);
    std::vector<RawSocket> clients;
    for (int count = 0; count < 20; ++count)
        clients.push_back(backend.ask("sized"));
    REQUIRE(eventually([&] { return backend.entry().status == Status::waiting; }));
    CHECK(clients.front().is_silent());
    std::ofstream(directory.path("now")) << "listen\n";
    for (RawSocket& client : clients)
        CHECK(client.read_until("0123456789").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a long poll whose client leaves ends at its backend, and counts no more") {
    const WebBackend backend;
    RawSocket client = backend.ask("hold?name=poll");
    REQUIRE(backend.has_seen("held", "poll"));
    CHECK(backend.entry().connections == 1);
    client.close();
    CHECK(backend.has_seen("gone", json{"poll", false}));
    CHECK(eventually([&] { return backend.entry().connections == 0; }));
}

TEST_CASE("a client that has closed its sending side gets its answer all the same") {
    const WebBackend backend;
    RawSocket client = backend.ask("hold?name=half");
    client.shutdown_sending();
    REQUIRE(backend.has_seen("held", "half"));
    backend.tell("half");
    CHECK(client.read_to_end().ends_with("half was told\n"));
    CHECK(backend.has_seen("gone", json{"half", true}));
}

TEST_CASE("an event arrives before the backend sends the next: node and curl") {
    const WebBackend backend;
    backend.check("http_client.js", "eventStream");
    const std::string tell = "/usr/bin/curl -s " + backend.direct("tell?name=curled");
    const std::string script = fmt::format(
        "{0}; /usr/bin/curl -sN '{1}' | while read -r line; do [ -z \"$line\" ] || "
        "{{ echo $line; {0}; }}; done",
        tell, backend.url("events?name=curled&count=10"));
    const RunResult result = run({"/bin/sh", "-c", script}, {});
    std::string expected = "told\n";
    for (int number = 0; number < 10; ++number)
        expected += fmt::format("data:{}\ntold\n", number);
    CHECK(result.out == expected);
}
