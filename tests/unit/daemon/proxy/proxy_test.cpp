// The proxy as a whole, through real sockets: a raw client on one side, a raw backend on the other,
// both of which the test itself plays.
#include "daemon/proxy/proxy.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/timeouts.h"
#include "daemon/descriptor_share.h"
#include "tests/support/eventually.h"
#include "tests/support/proxy_scene.h"

namespace jamsock::test {

namespace {

using namespace std::chrono_literals;

std::size_t resident_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident * 4096;
}

constexpr const char* chunked_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("clients come by IPv4 and by IPv6, and the backend is told from where") {
    TestProxy proxy;
    if (proxy.ipv6_port == 0) MESSAGE("without IPv6, which this machine has not");
    for (const auto& [family, port, address] :
         {std::tuple{AF_INET, proxy.port, "127.0.0.1"}, {AF_INET6, proxy.ipv6_port, "::1"}}) {
        if (port == 0) continue;
        RawSocket client = RawSocket::connect(port, family);
        client.send(proxy.get());
        RawSocket server = proxy.backend.listener.accept();
        const std::string head = server.read_until("\r\n\r\n");
        CHECK(has(head, std::string("\r\nx-forwarded-for: ") + address + "\r\n"));
        server.send(ok);
        CHECK(client.read_response().ends_with("\r\n\r\nok"));
    }
}

TEST_CASE("a backend that listens on [::1] is reached there") {
    if (!has_ipv6_loopback()) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    TestProxy proxy;
    const TestBackend backend("ipv6x", 2, AF_INET6);
    proxy.proxy->publish(backend.route(Route::State::ready));
    RawSocket client = proxy.connect();
    client.send("GET /" + backend.token() + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    RawSocket server = backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(ok);
    CHECK(client.read_response().ends_with("\r\n\r\nok"));
}

TEST_CASE("who comes before the start waits, and is served by the routes published until then") {
    TestProxy proxy(2, /*starts=*/false);
    RawSocket client = proxy.connect();
    client.send(proxy.get());
    TestBackend late("later", 2);
    proxy.proxy->publish(late.route(Route::State::ready));
    RawSocket other = proxy.connect();
    other.send("GET /" + late.token() + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    proxy.proxy->start();
    for (auto [backend, asker] : {std::pair{&proxy.backend, &client}, {&late, &other}}) {
        RawSocket server = backend->listener.accept();
        server.read_until("\r\n\r\n");
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        CHECK(asker->read_response().ends_with("\r\n\r\nok"));
    }
}

TEST_CASE("a request reaches the backend without its token and with what the daemon vouches for") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get("/a/b?c=%7e", "x-verified-secret: forged\r\nX-Own: 1\r\n"));
    RawSocket server = test.backend.listener.accept();
    const std::string head = server.read_until("\r\n\r\n");
    const auto token = ConnectionToken::decode(test.token);
    CHECK(head ==
          "GET /a/b?c=%7e HTTP/1.1\r\nHost: localhost\r\nX-Own: 1\r\n"
          "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n"
          "x-verified-user-data: {}\r\nx-verified-path: /" +
              test.token +
              "/a/b\r\n"
              "x-verified-backend: knrv5\r\nx-verified-secret: " +
              secret_token(test.backend.key, *token) + "\r\n\r\n");
    CHECK(test.backend.activity->in_flight() == 1);
    server.send("HTTP/1.1 201 Made\r\nContent-Length: 5\r\nX-Own: 2\r\n\r\nhello");
    const std::string response = client.read_response();
    CHECK(status_line(response) == "HTTP/1.1 201 Made");
    CHECK(has(response, "\r\nX-Own: 2\r\nx-jamsock-backend-id: knrv5\r\n"));
    CHECK(has(response, "access-control-allow-origin: *\r\n"));
    CHECK(response.ends_with("\r\n\r\nhello"));
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE("an event passes on before the next one is sent") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get());
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(chunked_head);
    CHECK(has(client.read_until("\r\n\r\n"), "Transfer-Encoding: chunked\r\n"));
    for (int event = 0; event < 3; ++event) {
        server.send("9\r\ndata:1\n\n\n\r\n");
        CHECK(client.read_until("\n\n\n\r\n") == "9\r\ndata:1\n\n\n\r\n");
    }
    server.send("0\r\nServer-Timing: 3\r\nContent-Length: 3\r\n\r\n");
    CHECK(client.read_until("\r\n\r\n") == "0\r\nServer-Timing: 3\r\n\r\n");
    client.send(test.get("/next"));
    CHECK(has(server.read_until("\r\n\r\n"), "GET /next "));
}

TEST_CASE("half a body passes on before the other half is sent") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Content-Length: 8\r\n"));
    RawSocket server = test.backend.listener.accept();
    CHECK(has(server.read_until("\r\n\r\n"), "\r\nContent-Length: 8\r\n"));
    client.send("half");
    CHECK(server.read_exactly(4) == "half");
    CHECK(server.is_silent());
    client.send("full");
    CHECK(server.read_exactly(4) == "full");
    server.send(ok);
    const std::string response = client.read_response();
    CHECK(response.ends_with("ok"));
    CHECK(has(response, "Connection: keep-alive"));
}

TEST_CASE("a chunked upload passes on chunk by chunk") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n");
    RawSocket server = test.backend.listener.accept();
    CHECK(has(server.read_until("\r\n\r\n"), "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(server.read_until("abc\r\n") == "3\r\nabc\r\n");
    client.send("2\r\nde\r\n");
    CHECK(server.read_until("de\r\n") == "2\r\nde\r\n");
    client.send("0\r\nx-verified-secret: forged\r\n\r\n");
    CHECK(server.read_until("\r\n\r\n") == "0\r\n\r\n");
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
}

TEST_CASE("both bodies stream at once: a backend may echo while the upload goes on") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Transfer-Encoding: chunked\r\n"));
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(chunked_head);
    client.read_until("\r\n\r\n");
    for (int turn = 0; turn < 3; ++turn) {
        client.send("1\r\nq\r\n");
        CHECK(server.read_until("q\r\n") == "1\r\nq\r\n");
        server.send("1\r\na\r\n");
        CHECK(client.read_until("a\r\n") == "1\r\na\r\n");
    }
    client.send("0\r\n\r\n");
    CHECK(server.read_until("\r\n\r\n") == "0\r\n\r\n");
    server.send("0\r\n\r\n");
    CHECK(client.read_until("\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("a slow reader slows the other side down, and memory stays bounded") {
    TestProxy test;
    const std::string block(1 << 20, 'x');
    constexpr std::size_t much = 1 << 28;
    const std::size_t before = resident_bytes();

    RawSocket reader = test.connect();
    reader.send(test.get());
    RawSocket writer = test.backend.listener.accept();
    writer.read_until("\r\n\r\n");
    writer.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
    CHECK(writer.send_until_stuck(block, much, 200ms) < much);

    RawSocket uploader = test.connect();
    uploader.send(test.post("Content-Length: 1073741824\r\n"));
    RawSocket sink = test.backend.listener.accept();
    CHECK(uploader.send_until_stuck(block, much, 200ms) < much);

    CHECK(resident_bytes() < before + (16 << 20));
}

TEST_CASE("a large body arrives whole both ways") {
    TestProxy test;
    std::string body(20 << 20, ' ');
    for (std::size_t i = 0; i < body.size(); ++i)
        body[i] = static_cast<char>(i * 31 + (i >> 12));
    RawSocket client = test.connect();
    std::thread uploader([&] {
        client.send(test.post("Content-Length: " + std::to_string(body.size()) + "\r\n"));
        client.send(body);
    });
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    const std::string received = server.read_exactly(body.size());
    const bool arrived_up = received == body;
    CHECK(arrived_up);
    uploader.join();
    std::thread downloader([&] {
        server.send("HTTP/1.1 200 OK\r\n\r\n");  // until the connection ends
        server.send(body);
        server.close();
    });
    client.read_until("\r\n\r\n");
    std::string got;
    while (true) {
        const std::string size = client.read_until("\r\n");
        const std::size_t length = std::stoul(size.empty() ? "0" : size, nullptr, 16);
        got += client.read_exactly(length);
        client.read_exactly(2);
        if (length == 0) break;
    }
    downloader.join();
    const bool arrived_down = got == body;
    CHECK(arrived_down);
}

TEST_CASE("an absolute target that names the Host is forwarded as its path") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send("GET http://localhost:9090/" + test.token +
                "/a?b HTTP/1.1\r\nHost: localhost:9090\r\n\r\n");
    RawSocket server = test.backend.listener.accept();
    const std::string head = server.read_until("\r\n\r\n");
    CHECK(head.starts_with("GET /a?b HTTP/1.1\r\nHost: localhost:9090\r\n"));
    CHECK(has(head, "x-verified-path: /" + test.token + "/a\r\n"));
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
}

TEST_CASE(
    "a refused request without a body leaves the connection usable, one with a body ends it") {
    TestProxy test;
    const std::string gone =
        "/" + TestBackend("other", 2).token() + "/ HTTP/1.1\r\nHost: localhost\r\n";
    RawSocket client = test.connect();
    client.send("GET " + gone + "\r\n");
    CHECK(has(client.read_response(), "Connection: keep-alive"));
    CHECK(client.send("POST " + gone + "Content-Length: 16000000\r\n\r\n" +
                      std::string(16'000'000, 'x')));
    const std::string response = client.read_response();
    CHECK(status_line(response) == "HTTP/1.1 410 Gone");
    CHECK(has(response, "Connection: close"));
    CHECK(client.is_at_end());
}

TEST_CASE("who takes long to send the rest of a refused request can send it, and read the answer") {
    TestProxy test;
    RawSocket silent = test.connect();
    RawSocket client = test.connect();
    client.send("POST /" + std::string(43, 'A') +
                "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n");
    const auto until = std::chrono::steady_clock::now() + timeouts::linger + 500ms;
    bool is_taken = true;
    while (is_taken && std::chrono::steady_clock::now() < until) {
        silent.is_silent();
        is_taken = client.send("some");
    }
    CHECK(is_taken);
    CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
    CHECK(client.is_at_end());
}

TEST_CASE("an error is a page, or JSON for a program, or nothing but a head for HEAD") {
    TestProxy test;
    const std::string gone = " /" + std::string(43, 'A') + "/ HTTP/1.1\r\nHost: localhost\r\n";
    RawSocket client = test.connect();
    client.send("GET" + gone + "Accept: text/html,application/json\r\n\r\n");
    CHECK(has(client.read_response(), "<h1>410 Gone</h1>"));
    client.send("GET" + gone + "Accept: application/json\r\n\r\n");
    const std::string json = client.read_response();
    CHECK(has(json, "Content-Type: application/json\r\n"));
    CHECK(has(json, R"("status":"Gone","code":"BackendGone")"));
    client.send("HEAD" + gone + "\r\n" + test.get());
    CHECK(status_line(client.read_response(true)) == "HTTP/1.1 410 Gone");
    test.backend.listener.accept().send(ok);
    CHECK(client.read_response().ends_with("ok"));
}

TEST_CASE("a request to a pending backend is held, and forwarded when it is ready") {
    TestProxy test;
    test.proxy->publish(test.backend.route(Route::State::pending));
    RawSocket client = test.connect();
    client.send(test.post("Content-Length: 4\r\n") + "body");
    CHECK_FALSE(test.backend.listener.has_client(50ms));
    CHECK(client.is_silent());
    test.proxy->publish(test.backend.route(Route::State::ready));
    RawSocket server = test.backend.listener.accept();
    CHECK(server.read_until("body").ends_with("\r\n\r\nbody"));
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
}

TEST_CASE("a held request is told how its backend ended") {
    for (const bool startup_limit_passed : {false, true}) {
        TestProxy test;
        test.proxy->publish(test.backend.route(Route::State::pending));
        RawSocket held = test.connect();
        held.send(test.get());
        RawSocket removed = test.connect();
        removed.send(test.get());
        CHECK(held.is_silent());
        test.proxy->publish(test.backend.route(Route::State::ending, startup_limit_passed));
        test.proxy->remove(test.backend.serial);
        const std::string expected =
            startup_limit_passed ? "HTTP/1.1 504 Gateway Timeout" : "HTTP/1.1 410 Gone";
        CHECK(status_line(held.read_response()) == expected);
        CHECK(status_line(removed.read_response()) == expected);
    }
}

TEST_CASE("a client that leaves while it is held is forgotten") {
    TestProxy test;
    test.proxy->publish(test.backend.route(Route::State::pending));
    const std::size_t before = open_descriptors();
    RawSocket client = test.connect();
    client.send(test.get());
    CHECK(client.is_silent());
    client.close();
    CHECK(eventually([&] { return open_descriptors() == before; }));
}

TEST_CASE("a client that has only ended its sending is held, and gets its answer") {
    TestProxy test;
    test.proxy->publish(test.backend.route(Route::State::pending));
    RawSocket client = test.connect();
    client.send(test.get());
    client.shutdown_sending();
    CHECK(client.is_silent(600ms));
    test.proxy->publish(test.backend.route(Route::State::ready));
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    CHECK(client.is_silent(600ms));
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
    CHECK(client.is_at_end());
}

TEST_CASE("a client that leaves frees its backend although that has nothing to say") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get());
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(chunked_head);
    client.read_until("\r\n\r\n");
    CHECK(test.backend.activity->in_flight() == 1);
    client.close();
    CHECK(server.read_to_end().empty());
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE("a closed, ending or removed backend is gone, also for an open connection") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    client.read_response();
    SUBCASE("closed") {
        test.backend.activity->close();
    }
    SUBCASE("ending") {
        test.proxy->publish(test.backend.route(Route::State::ending));
    }
    SUBCASE("removed") {
        test.proxy->remove(test.backend.serial);
    }
    client.send(test.get());
    CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
    CHECK_FALSE(test.backend.listener.has_client(20ms));
}

TEST_CASE("a backend that does not accept is a 502") {
    TestProxy test;
    test.backend.listener.take();
    RawSocket client = test.connect();
    client.send(test.get());
    CHECK(status_line(client.read_response()) == "HTTP/1.1 502 Bad Gateway");
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE("a backend that does not answer with HTTP is a 502") {
    TestProxy test;
    for (const std::string answer :
         {"", "HTTP/1.1 200 OK\r\nContent-Le", "hello\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
          "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"}) {
        CAPTURE(answer);
        RawSocket client = test.connect();
        client.send(test.get());
        {
            RawSocket server = test.backend.listener.accept();
            server.read_until("\r\n\r\n");
            server.send(answer);
        }
        CHECK(status_line(client.read_response()) == "HTTP/1.1 502 Bad Gateway");
    }
    test.check_that_it_serves();
}

TEST_CASE("a backend that breaks off inside its answer cuts the client's connection") {
    TestProxy test;
    RawSocket client = test.connect();
    std::string head;
    SUBCASE("with a length") {
        head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    }
    SUBCASE("in chunks") {
        head = std::string(chunked_head) + "4\r\nhalf\r\n";
    }
    SUBCASE("with broken chunks") {
        head = std::string(chunked_head) + "4\r\nhalfX";
    }
    client.send(test.get());
    {
        RawSocket server = test.backend.listener.accept();
        server.read_until("\r\n\r\n");
        server.send(head);
    }
    const std::string response = client.read_to_end();
    CHECK(has(response, "half"));
    CHECK_FALSE(has(response, "0\r\n\r\n"));
    test.check_that_it_serves();
}

TEST_CASE("an HTTP/1.0 client gets no chunks, and can tell a break from an end") {
    TestProxy test;
    const std::string request = "GET /" + test.token + "/ HTTP/1.0\r\nHost: localhost\r\n\r\n";
    RawSocket client = test.connect();
    client.send(request);
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(std::string(chunked_head) + "4\r\nhalf\r\n");
    const std::string head = client.read_until("half");
    CHECK_FALSE(has(head, "Transfer-Encoding"));
    CHECK(head.ends_with("Connection: close\r\n\r\nhalf"));
    SUBCASE("an end") {
        server.send("4\r\nfull\r\n0\r\n\r\n");
        CHECK(client.read_to_end() == "full");
        CHECK_FALSE(client.is_broken());
    }
    SUBCASE("a break") {
        server.close();
        CHECK(client.read_to_end().empty());
        CHECK(client.is_broken());
    }
}

TEST_CASE("pipelined requests are forwarded and answered in order") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get("/1") + test.post("Content-Length: 3\r\n") + "abc" + test.get("/3"));
    RawSocket server = test.backend.listener.accept();
    for (const std::string path : {"GET /1 ", "POST / ", "GET /3 "}) {
        CHECK(server.read_until("\r\n\r\n").starts_with(path));
        if (path == "POST / ") CHECK(server.read_exactly(3) == "abc");
        CHECK(server.is_silent(20ms));
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + path.substr(0, 7));
        const std::string response = client.read_response();
        CHECK(response.ends_with("\r\n\r\n" + path.substr(0, 7)));
    }
    CHECK_FALSE(test.backend.listener.has_client(0ms));
}

TEST_CASE("requests of all clients share the connections to a backend") {
    TestProxy test;
    RawSocket first = test.connect();
    first.send(test.get("/1"));
    RawSocket server = test.backend.listener.accept();
    for (const std::string path : {"/1", "/2", "/3"}) {
        CHECK(has(server.read_until("\r\n\r\n"), "GET " + path + " "));
        server.send(ok);
        if (path == "/1") {
            CHECK(first.read_response().ends_with("ok"));
            first.send(test.get("/2"));
        } else if (path == "/2") {
            CHECK(first.read_response().ends_with("ok"));
            RawSocket second = test.connect();
            second.send(test.get("/3"));
            CHECK(has(server.read_until("\r\n\r\n"), "GET /3 "));
            server.send(ok);
            CHECK(second.read_response().ends_with("ok"));
            break;
        }
    }
    CHECK_FALSE(test.backend.listener.has_client(0ms));
    CHECK(server.is_at_end());  // nobody needs it for a while
}

TEST_CASE("a connection that the backend closes while it waits costs no request") {
    TestProxy test;
    RawSocket client = test.connect();
    for (int turn = 0; turn < 50; ++turn) {
        client.send(turn % 2 ? test.get() : test.post("Content-Length: 1\r\n") + "x");
        RawSocket server = test.backend.listener.accept();
        server.read_until("\r\n\r\n");
        if (turn % 2 == 0) server.read_exactly(1);
        server.send(ok);
        CHECK(status_line(client.read_response()) == "HTTP/1.1 200 OK");
    }
}

TEST_CASE("what can't be repeated is not sent twice") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get());
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
    SUBCASE("a POST that may have been done is a 502") {
        client.send(test.post("Content-Length: 1\r\n") + "x");
        server.read_until("x");
        server.close();
        CHECK(status_line(client.read_response()) == "HTTP/1.1 502 Bad Gateway");
        CHECK_FALSE(test.backend.listener.has_client(50ms));
    }
    SUBCASE("a GET goes out again") {
        client.send(test.get("/again"));
        server.read_until("\r\n\r\n");
        server.close();
        RawSocket other = test.backend.listener.accept();
        CHECK(has(other.read_until("\r\n\r\n"), "GET /again "));
        other.send(ok);
        CHECK(client.read_response().ends_with("ok"));
    }
}

TEST_CASE("responses that have no body end with their head") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send("HEAD /" + test.token + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    test.backend.listener.accept().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    CHECK(has(client.read_response(true), "\r\nContent-Length: 5\r\n"));
    client.send(test.get());
    test.backend.listener.accept().send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    CHECK(has(client.read_response(true), "\r\nContent-Length: 5\r\n"));
    client.send(test.get());
    test.backend.listener.accept().send("HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(status_line(client.read_response(true)) == "HTTP/1.1 204 No Content");
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    CHECK(client.read_response().ends_with("\r\n\r\nok"));
}

TEST_CASE("interim responses pass on, and who waits for one sends its body when it came") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Content-Length: 4\r\nExpect: 100-continue\r\n"));
    RawSocket server = test.backend.listener.accept();
    CHECK(has(server.read_until("\r\n\r\n"), "Expect: 100-continue\r\n"));
    CHECK(client.is_silent());
    server.send("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(status_line(client.read_until("\r\n\r\n")) == "HTTP/1.1 100 Continue");
    client.send("body");
    CHECK(server.read_exactly(4) == "body");
    server.send(std::string("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") + ok);
    const std::string hints = client.read_until("\r\n\r\n");
    CHECK(status_line(hints) == "HTTP/1.1 103 Early Hints");
    CHECK(has(hints, "Link: x\r\n"));
    const std::string response = client.read_response();
    CHECK(status_line(response) == "HTTP/1.1 200 OK");
    CHECK(response.ends_with("ok"));
}

TEST_CASE("a refusal that comes in place of 100 Continue is the answer") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Content-Length: 4\r\nExpect: 100-continue\r\n"));
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    const std::string response = client.read_response();
    CHECK(status_line(response) == "HTTP/1.1 417 Expectation Failed");
    CHECK(has(response, "Connection: close\r\n"));
    CHECK(client.is_at_end());
}

TEST_CASE("an HTTP/1.0 client gets no interim response") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send("GET /" + test.token + "/ HTTP/1.0\r\nHost: localhost\r\n\r\n");
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send(std::string("HTTP/1.1 103 Early Hints\r\n\r\n") + ok);
    CHECK(status_line(client.read_response()) == "HTTP/1.1 200 OK");
}

namespace {

// Closes it as a crash with unread input does: the other side sees a broken connection.
void break_off(RawSocket& socket) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    socket.close();
}

// An upgraded connection, both sides of it.
struct TestTunnel {
    explicit TestTunnel(TestProxy& test) : client(test.connect()), server(accept(test)) {}

    std::string request;
    RawSocket client;
    RawSocket server;

  private:
    RawSocket accept(TestProxy& test) {
        client.send(test.get("/ws?x=1", "Connection: Upgrade\r\nUpgrade: chat/1\r\n") + "early");
        RawSocket accepted = test.backend.listener.accept();
        request = accepted.read_until("\r\n\r\n");
        CHECK(accepted.is_silent());  // it may be the next request, if this one is declined
        accepted.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n"
            "\r\nfirst");
        CHECK(accepted.read_until("early") == "early");
        return accepted;
    }
};

}  // namespace

TEST_CASE("an upgraded connection is a tunnel, with what came right behind both heads") {
    TestProxy test;
    TestTunnel tunnel(test);
    CHECK(has(tunnel.request, "GET /ws?x=1 HTTP/1.1\r\n"));
    CHECK(has(tunnel.request, "Connection: Upgrade\r\n"));
    CHECK(has(tunnel.request, "Upgrade: chat/1\r\n"));
    CHECK(has(tunnel.request, "x-verified-backend: knrv5\r\n"));
    const std::string answer = tunnel.client.read_until("first");
    CHECK(status_line(answer) == "HTTP/1.1 101 Switching Protocols");
    CHECK(answer.ends_with("\r\n\r\nfirst"));
    for (int turn = 0; turn < 3; ++turn) {
        tunnel.client.send("GET / HTTP/1.1\r\n\r\n");
        CHECK(tunnel.server.read_until("\r\n\r\n") == "GET / HTTP/1.1\r\n\r\n");
        tunnel.server.send(std::string("\0x\n", 3));
        CHECK(tunnel.client.read_exactly(3) == std::string("\0x\n", 3));
    }
    CHECK(test.backend.activity->in_flight() == 1);
}

TEST_CASE("a tunnel ends when either side closes, and each may end its sending alone") {
    TestProxy test;
    TestTunnel tunnel(test);
    tunnel.client.read_until("first");
    SUBCASE("the client closes") {
        tunnel.client.close();
        CHECK(tunnel.server.is_at_end());
        CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
    }
    SUBCASE("the backend closes") {
        tunnel.server.send("last");
        tunnel.server.close();
        CHECK(tunnel.client.read_to_end() == "last");
        CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
    }
    SUBCASE("the backend breaks off") {
        break_off(tunnel.server);
        CHECK(tunnel.client.read_to_end().empty());
        CHECK(tunnel.client.is_broken());
        CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
    }
    SUBCASE("the client breaks off") {
        break_off(tunnel.client);
        CHECK(tunnel.server.read_to_end().empty());
        CHECK(tunnel.server.is_broken());
        CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
    }
    SUBCASE("the client ends its sending") {
        tunnel.client.send("that's all");
        tunnel.client.shutdown_sending();
        CHECK(tunnel.server.read_to_end() == "that's all");
        CHECK(tunnel.client.is_silent(600ms));
        tunnel.server.send("late answer");
        CHECK(tunnel.client.read_until("answer") == "late answer");
        tunnel.server.shutdown_sending();
        CHECK(tunnel.client.is_at_end());
        CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
    }
}

TEST_CASE("much goes through a tunnel both ways, and whoever is slow slows the other down") {
    TestProxy test;
    TestTunnel tunnel(test);
    tunnel.client.read_until("first");
    std::string much(8 << 20, ' ');
    for (std::size_t i = 0; i < much.size(); ++i)
        much[i] = static_cast<char>(i * 7 + (i >> 10));
    std::thread up([&] { tunnel.client.send(much); });
    std::thread down([&] { tunnel.server.send(much); });
    const bool came_up = tunnel.server.read_exactly(much.size()) == much;
    const bool came_down = tunnel.client.read_exactly(much.size()) == much;
    up.join();
    down.join();
    CHECK(came_up);
    CHECK(came_down);
    constexpr std::size_t too_much = 1 << 28;
    CHECK(tunnel.client.send_until_stuck(much, too_much, 200ms) < too_much);
}

TEST_CASE("an upgrade that the backend declines is a plain answer on a plain connection") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get("/", "Connection: Upgrade\r\nUpgrade: chat/1\r\n"));
    RawSocket server = test.backend.listener.accept();
    server.read_until("\r\n\r\n");
    server.send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    CHECK(status_line(client.read_response()) == "HTTP/1.1 426 Upgrade Required");
    client.send(test.get("/next"));
    CHECK(has(server.read_until("\r\n\r\n"), "GET /next "));
}

TEST_CASE("a page's own origin may have the name by which it came") {
    TestProxy test;
    const std::uint16_t port = test.ipv6_port == 0 ? test.port : test.ipv6_port;
    Route strict = *test.backend.route(Route::State::ready);
    strict.refuses_foreign_origins = true;
    test.proxy->publish(std::make_shared<const Route>(strict));
    RawSocket client = RawSocket::connect(port, test.ipv6_port == 0 ? AF_INET : AF_INET6);
    const auto ask = [&](const std::string& host, const std::string& origin) {
        client.send(
            fmt::format("GET /{}/ HTTP/1.1\r\nHost: {}:{}\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
                        "Origin: http://{}:{}\r\n\r\n",
                        test.token, host, port, origin, port));
    };
    for (const char* name : {"[::1]", "localhost", "127.0.0.1", "a.localhost"}) {
        ask(name, name);
        test.backend.listener.accept().send(ok);
        CHECK(client.read_response().ends_with("ok"));
    }
    ask("[::1]", "localhost");
    CHECK(status_line(client.read_response()) == "HTTP/1.1 403 Forbidden");
}

TEST_CASE("an answer before the end of the upload reaches the client, whose connection then ends") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Content-Length: 100000000\r\n") + "some");
    {
        RawSocket server = test.backend.listener.accept();
        server.read_until("some");
        server.send("HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\n\r\nno!");
    }
    const std::string response = client.read_response();
    CHECK(status_line(response) == "HTTP/1.1 413 Too Much");
    CHECK(response.ends_with("no!"));
    CHECK(has(response, "Connection: close\r\n"));
    CHECK(client.send(std::string(16 << 20, 'x')));
    CHECK(client.is_at_end());
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE(
    "an upload with broken chunks is a 400, and one that breaks off ends at the backend too") {
    TestProxy test;
    RawSocket broken = test.connect();
    broken.send(test.post("Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n");
    RawSocket server = test.backend.listener.accept();
    server.read_until("abc\r\n");
    SUBCASE("broken chunks") {
        broken.send("nonsense\r\n");
        CHECK(status_line(broken.read_response()) == "HTTP/1.1 400 Bad Request");
    }
    SUBCASE("broken off") {
        broken.close();
    }
    CHECK_FALSE(has(server.read_to_end(), "0\r\n\r\n"));
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE("two tokens on one connection reach their own backends") {
    TestProxy test;
    TestBackend other("other", 2);
    test.proxy->publish(other.route(Route::State::ready));
    RawSocket client = test.connect();
    for (int turn = 0; turn < 2; ++turn) {
        client.send(test.get("/a"));
        RawSocket first = test.backend.listener.accept();
        CHECK(has(first.read_until("\r\n\r\n"), "x-verified-backend: knrv5\r\n"));
        first.send(ok);
        CHECK(has(client.read_response(), "x-jamsock-backend-id: knrv5\r\n"));
        client.send("GET /" + other.token() + "/b HTTP/1.1\r\nHost: localhost\r\n\r\n");
        RawSocket second = other.listener.accept();
        CHECK(has(second.read_until("\r\n\r\n"), "x-verified-backend: other\r\n"));
        second.send(ok);
        CHECK(has(client.read_response(), "x-jamsock-backend-id: other\r\n"));
    }
}

TEST_CASE("an identity is looked up once per connection, and a token without one is gone") {
    TestProxy test;
    test.token = test.backend.token(true);
    RawSocket stranger = test.connect();
    stranger.send(test.get());
    CHECK(status_line(stranger.read_response()) == "HTTP/1.1 410 Gone");
    {
        const std::lock_guard lock(test.mutex);
        CHECK(test.last_hash == ConnectionToken::decode(test.token)->hash());
        test.identity = Identity{.user = "ada", .auth = R"({"a":1})"};
        test.lookups = 0;
    }
    RawSocket client = test.connect();
    for (int turn = 0; turn < 2; ++turn) {
        client.send(test.get());
        RawSocket server = test.backend.listener.accept();
        const std::string head = server.read_until("\r\n\r\n");
        CHECK(has(head, "x-verified-username: ada\r\nx-verified-user-data: {\"a\":1}\r\n"));
        server.send(ok);
        client.read_response();
    }
    const std::lock_guard lock(test.mutex);
    CHECK(test.lookups == 1);
}

TEST_CASE("a revoked token is gone on every connection, also one that it opened; others stay") {
    TestProxy test(2);
    RawSocket open = test.connect();
    open.send(test.get());
    test.backend.listener.accept().send(ok);
    open.read_response();
    test.backend.revoke(test.token);
    test.proxy->publish(test.backend.route(Route::State::ready));
    RawSocket fresh = test.connect();
    for (RawSocket* client : {&open, &fresh, &open}) {
        client->send(test.get());
        CHECK(status_line(client->read_response()) == "HTTP/1.1 410 Gone");
    }
    CHECK_FALSE(test.backend.listener.has_client(20ms));
    test.token = test.backend.token();
    test.check_that_it_serves();
    open.send(test.get());
    test.backend.listener.accept().send(ok);
    CHECK(open.read_response().ends_with("ok"));
}

TEST_CASE("a token that is revoked while its request is held is refused at once") {
    TestProxy test;
    test.proxy->publish(test.backend.route(Route::State::pending));
    RawSocket revoked = test.connect();
    revoked.send(test.get());
    const std::string other_token = test.backend.token();
    RawSocket other = test.connect();
    other.send("GET /" + other_token + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(revoked.is_silent());
    CHECK(other.is_silent());
    test.backend.revoke(test.token);
    test.proxy->publish(test.backend.route(Route::State::pending));
    CHECK(status_line(revoked.read_response()) == "HTTP/1.1 410 Gone");
    CHECK(other.is_silent());
    test.proxy->publish(test.backend.route(Route::State::ready));
    test.backend.listener.accept().send(ok);
    CHECK(other.read_response().ends_with("ok"));
}

TEST_CASE("an open connection of a user goes by its user where its token has expired") {
    TestProxy test;
    {
        const std::lock_guard lock(test.mutex);
        test.identity = Identity{.user = "ada", .auth = {}};
    }
    test.token = test.backend.token(true);
    RawSocket client = test.connect();
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    client.read_response();
    const std::int64_t expired = wall_milliseconds() / 1000 + timeouts::token_life.count();
    const auto revoke_expired_of = [&](const char* user) {
        test.backend.revoke(test.backend.revoked->with_expired(user, expired));
        test.proxy->publish(test.backend.route(Route::State::ready));
    };
    revoke_expired_of("bob");
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    CHECK(client.read_response().ends_with("ok"));
    revoke_expired_of("ada");
    client.send(test.get());
    CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
}

TEST_CASE("cut_revoked ends the connections of revoked tokens and no other, running or idle") {
    TestProxy test(2);
    const auto stream = [&](RawSocket& client, const std::string& token) {
        client.send("GET /" + token + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        RawSocket server = test.backend.listener.accept();
        server.read_until("\r\n\r\n");
        server.send(chunked_head);
        client.read_until("\r\n\r\n");
        return server;
    };
    const std::string other_token = test.backend.token();
    RawSocket running = test.connect();
    RawSocket others = test.connect();
    RawSocket server = stream(running, test.token);
    RawSocket other_server = stream(others, other_token);
    RawSocket idle = test.connect();
    idle.send(test.get());
    test.backend.listener.accept().send(ok);
    idle.read_response();

    test.backend.revoke(test.token);
    test.proxy->publish(test.backend.route(Route::State::ready));
    server.send("4\r\nmore\r\n");
    CHECK(running.read_until("more\r\n") == "4\r\nmore\r\n");
    test.proxy->cut_revoked(test.backend.serial);
    for (RawSocket* socket : {&running, &server, &idle}) {
        CHECK(socket->read_to_end().empty());
        const bool has_ended = socket->is_at_end() || socket->is_broken();
        CHECK(has_ended);
    }
    other_server.send("4\r\nmore\r\n0\r\n\r\n");
    CHECK(others.read_until("0\r\n\r\n") == "4\r\nmore\r\n0\r\n\r\n");
    CHECK(eventually([&] { return test.backend.activity->in_flight() == 0; }));
}

TEST_CASE("cut_revoked leaves the backends alone that it does not name") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    client.read_response();
    test.backend.revoke(test.token);
    test.proxy->publish(test.backend.route(Route::State::ready));
    test.proxy->cut_revoked(test.backend.serial + 1);
    client.send(test.get());
    CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
}

TEST_CASE("a token with an identity and one without take turns on one connection") {
    TestProxy test;
    test.identity = Identity{.user = "ada"};
    const std::string tokens[] = {test.backend.token(true), test.backend.token()};
    RawSocket client = test.connect();
    for (int turn = 0; turn < 4; ++turn) {
        test.token = tokens[turn % 2];
        client.send(test.get());
        RawSocket server = test.backend.listener.accept();
        CHECK(has(server.read_until("\r\n\r\n"), "x-verified-path: /" + test.token + "/\r\n"));
        server.send(ok);
        CHECK(client.read_response().ends_with("ok"));
    }
}

TEST_CASE("a route is known to every thread as soon as it is published") {
    TestProxy test(4);
    std::vector<std::unique_ptr<TestBackend>> backends;
    for (std::uint64_t serial = 10; serial < 60; ++serial) {
        backends.push_back(std::make_unique<TestBackend>("b" + std::to_string(serial), serial));
        test.proxy->publish(backends.back()->route(Route::State::ready));
        RawSocket client = test.connect();
        client.send("GET /" + backends.back()->token() + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        backends.back()->listener.accept().send(ok);
        CHECK(status_line(client.read_response()) == "HTTP/1.1 200 OK");
    }
}

TEST_CASE("routes change in the order in which they are published, whoever reads on meanwhile") {
    using Answer = std::function<void(std::optional<Identity>)>;
    TestBackend backend("knrv5", 1);
    RawListener listening;
    const std::uint16_t port = listening.port();
    std::atomic<int> lookups = 0;
    Answer first;
    std::optional<Proxy> proxy;
    std::vector<UniqueFd> sockets;
    sockets.push_back(listening.take());
    proxy.emplace(std::move(sockets), 1, ProxyLimits{}, [&](const std::string&, Answer answer) {
        switch (++lookups) {  // on the only proxy thread
            case 1:
                first = std::move(answer);
                break;
            case 2:  // three tasks at once; the first of them leads to the third look-up
                answer(std::nullopt);
                first(std::nullopt);
                proxy->publish(backend.route(Route::State::pending));
                break;
            case 3:
                proxy->publish(backend.route(Route::State::ready));
        }
    });
    proxy->publish(backend.route(Route::State::pending));
    proxy->start();
    const auto get = [&](bool has_identity) {
        return "GET /" + backend.token(has_identity) + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    };
    RawSocket waiting = RawSocket::connect(port);
    waiting.send(get(true));
    CHECK(eventually([&] { return lookups == 1; }));
    RawSocket asking = RawSocket::connect(port);
    asking.send(get(true) + get(true));
    CHECK(status_line(waiting.read_response()) == "HTTP/1.1 410 Gone");
    RawSocket client = RawSocket::connect(port);
    client.send(get(false));
    CHECK(backend.listener.has_client(raw_deadline));
}

TEST_CASE("a proxy that stops cuts all connections and lets go of its backends") {
    TestProxy test(2);
    RawSocket streaming = test.connect();
    streaming.send(test.get());
    RawSocket server = test.backend.listener.accept();
    server.send(chunked_head);
    streaming.read_until("\r\n\r\n");
    test.proxy->publish(test.backend.route(Route::State::pending));
    RawSocket held = test.connect();
    held.send(test.get());
    RawSocket idle = test.connect();
    CHECK(held.is_silent());

    const auto begin = std::chrono::steady_clock::now();
    test.proxy->stop();
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    CHECK(streaming.read_to_end().empty());
    CHECK(held.read_to_end().empty());
    CHECK(idle.read_to_end().empty());
    CHECK(test.backend.activity->in_flight() == 0);
    test.proxy->stop();
}

}  // namespace jamsock::test
