// What the proxy refuses, byte for byte: each is answered once, then the connection ends; nothing
// of it reaches the backend, and the next client is served.
#include "daemon/proxy/refusals.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/timeouts.h"
#include "daemon/http/head_rules.h"
#include "tests/support/eventually.h"
#include "tests/support/proxy_scene.h"

namespace jamsock::test {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

struct RefusedKind {
    std::string what;
    int status;
    std::vector<std::string> requests;
};

std::string repeated(std::size_t times, std::string_view text) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

// `t`: a good token.
std::vector<RefusedKind> refused_lengths(const std::string& t) {
    const std::string post = "POST /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n";
    const std::string end = "\r\n\r\n0\r\n\r\n";
    return {
        {"both lengths",
         400,
         {post + "Content-Length: 5\r\nTransfer-Encoding: chunked" + end,
          post + "Transfer-Encoding: chunked\r\nContent-Length: 5" + end,
          post + "content-length: 0\r\nTRANSFER-ENCODING: CHUNKED" + end}},
        {"doubled or listed lengths",
         400,
         {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
          post + "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello",
          post + "Content-Length: 5, 5\r\n\r\nhello", post + "Content-Length: 5,\r\n\r\nhello",
          post + "Content-Length: 5 5\r\n\r\nhello"}},
        {"no length",
         400,
         {post + "Content-Length: +5\r\n\r\nhello", post + "Content-Length: -5\r\n\r\nhello",
          post + "Content-Length: 0x5\r\n\r\nhello", post + "Content-Length: 5.0\r\n\r\nhello",
          post + "Content-Length: \"5\"\r\n\r\nhello", post + "Content-Length:\r\n\r\n",
          post + "Content-Length: 9223372036854775808\r\n\r\nhello",
          post + "Content-Length: 18446744073709551621\r\n\r\nhello"}},
        {"unknown transfer codings",
         400,
         {post + "Transfer-Encoding: identity" + end, post + "Transfer-Encoding: gzip" + end,
          post + "Transfer-Encoding: gzip, chunked" + end,
          post + "Transfer-Encoding: chunked, identity" + end,
          post + "Transfer-Encoding: xchunked" + end, post + "Transfer-Encoding: chunkedx" + end,
          post + "Transfer-Encoding: \"chunked\"" + end,
          post + "Transfer-Encoding: chunked;q=1" + end, post + "Transfer-Encoding:" + end}},
        {"repeated transfer codings",
         400,
         {post + "Transfer-Encoding: chunked, chunked" + end,
          post + "Transfer-Encoding: chunked," + end,
          post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + end,
          post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity" + end}},
        {"a transfer coding in HTTP/1.0",
         400,
         {"POST /" + t + "/ HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked" + end}},
    };
}

std::vector<RefusedKind> refused_lines(const std::string& t) {
    const std::string get = "GET /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n";
    const std::string post = "POST /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n";
    return {
        {"folded lines",
         400,
         {get + "A: b\r\n c\r\n\r\n", get + "A: b\r\n\tc\r\n\r\n", get + "A: b\r\n \r\n\r\n",
          "GET /" + t + "/ HTTP/1.1\r\n Host: localhost\r\n\r\n",
          post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"}},
        {"a CR without LF",
         400,
         {get + "A: b\rB: c\r\n\r\n", get + "A: b\r\r\n\r\n", get + "A\r: b\r\n\r\n",
          get + "A: b\r\n\rB: c\r\n\r\n", "GET /" + t + "/ HTTP/1.1\rHost: localhost\r\n\r\n",
          "\rGET /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n"}},
        {"a LF without CR",
         400,
         {get + "A: b\nB: c\r\n\r\n", get + "A: b\n\n", get + "\n",
          "GET /" + t + "/ HTTP/1.1\nHost: localhost\n\n",
          "\nGET /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n"}},
        {"NUL and other control characters",
         400,
         {get + "A: b\0c\r\n\r\n"s, get + "A\0: b\r\n\r\n"s, get + "\0A: b\r\n\r\n"s,
          "GET /" + t + "/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"s,
          "GET /" + t + "/ HTTP/1.1\0\r\nHost: localhost\r\n\r\n"s, get + "A: \x01\r\n\r\n",
          get + "A: \x7F\r\n\r\n"}},
        {"spaces before colons",
         400,
         {get + "A : b\r\n\r\n", get + "A\t: b\r\n\r\n", post + "Content-Length : 5\r\n\r\nhello",
          post + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"}},
        {"no name",
         400,
         {get + ": b\r\n\r\n", get + "A\r\n\r\n", get + "A b: c\r\n\r\n", get + "(A): b\r\n\r\n"}},
        {"no request line",
         400,
         {"GET /" + t + "/\r\n\r\n", "GET  /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /" + t + "/  HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /" + t + "/ HTTP/1.1 \r\nHost: localhost\r\n\r\n",
          "GET\t/" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET /" + t + "/ http/1.1\r\nHost: localhost\r\n\r\n",
          "GET /" + t + "/ HTTP/1.10\r\nHost: localhost\r\n\r\n",
          "G@T /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
          " GET /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01\x02\n"}},
        {"a version that is not spoken",
         505,
         {"GET /" + t + "/ HTTP/2.0\r\nHost: localhost\r\n\r\n",
          "GET /" + t + "/ HTTP/1.2\r\nHost: localhost\r\n\r\n", "GET /" + t + "/ HTTP/0.9\r\n\r\n",
          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}},
        {"too many headers", 431, {get + repeated(most_fields, "A: b\r\n") + "\r\n"}},
        {"too long a head",
         431,
         {get + "A: " + std::string(longest_head, 'x') + "\r\n\r\n",
          get + repeated(longest_head / 1000 + 1, std::string(998, 'A') + ":b\r\n") + "\r\n",
          "GET /" + t + "/" + std::string(longest_head, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n",
          std::string(longest_head + 1, 'x')}},
    };
}

std::vector<RefusedKind> refused_destinations(const std::string& t) {
    const std::string get = "GET /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n";
    const auto to = [&](const std::string& target, const std::string& host = "localhost") {
        return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    };
    const auto of = [&](const std::string& host) { return to("/" + t + "/", host); };
    return {
        {"no Host", 400, {"GET /" + t + "/ HTTP/1.1\r\n\r\n"}},
        {"two Hosts",
         400,
         {get + "Host: localhost\r\n\r\n", get + "hOST: elsewhere.example\r\n\r\n",
          of("localhost, localhost"), of("user@localhost"), of("localhost/x")}},
        {"a foreign Host",
         403,
         {of("elsewhere.example"), of("localhost.elsewhere.example"), of("xlocalhost"),
          of("127.0.0.1.elsewhere.example"), of("127.0.0.1:80:80"), of("[::1].elsewhere.example"),
          of(""), "GET /" + t + "/ HTTP/1.0\r\n\r\n",
          to("http://elsewhere.example/" + t + "/", "elsewhere.example")}},
        {"a target elsewhere",
         400,
         {to("http://elsewhere.example/" + t + "/"), to("http://localhost:1/" + t + "/"),
          to("http://user@localhost/" + t + "/"), to("https://localhost/" + t + "/"),
          to("http:///" + t + "/"), to("localhost:80"), to("localhost/" + t + "/")}},
        {"a target that is no path",
         400,
         {to("*"), "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", to(t + "/"),
          to("/" + t + "/a b"), to("/" + t + "/a\tb"), to("/" + t + "/#a")}},
        {"a path without a token",
         400,
         {to("/"), to("/index.html"), to("/" + t + "x/"), to("//" + t + "/"), to("/./" + t + "/"),
          to("/%2f" + t + "/")}},
        {"CONNECT", 501, {"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"}},
        {"TRACE", 501, {"TRACE /" + t + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n"}},
        {"two origins or upgrades",
         400,
         {get + "Origin: http://a\r\nOrigin: http://b\r\n\r\n",
          get + "Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n"}},
    };
}

struct Refused {
    std::string what;
    int status;
    std::string request;
};

std::vector<Refused> refused_requests(const std::string& token) {
    std::vector<Refused> all;
    for (const auto& kinds :
         {refused_lengths(token), refused_lines(token), refused_destinations(token)}) {
        for (const RefusedKind& kind : kinds) {
            for (const std::string& request : kind.requests)
                all.push_back({kind.what, kind.status, request});
        }
    }
    return all;
}

// Those of all answers until the end; nothing if that does not come.
std::vector<int> statuses_until_end(RawSocket& client) {
    std::vector<int> statuses;
    for (std::string answer; !(answer = client.read_response()).empty();) {
        statuses.push_back(answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0);
    }
    return client.is_at_end() ? statuses : std::vector<int>{};
}

void check_that_nothing_arrived(const TestProxy& test) {
    CHECK_FALSE(test.backend.listener.has_client(50ms));
    CHECK(test.backend.activity->in_flight() == 0);
}

}  // namespace

TEST_CASE("each refused request gets one answer and the end, and reaches no backend") {
    TestProxy test;
    for (const auto& [what, status, request] : refused_requests(test.token)) {
        CAPTURE(what);
        CAPTURE(request.substr(0, 200));
        RawSocket client = test.connect();
        client.send(request + test.get("/smuggled"));
        CHECK(statuses_until_end(client) == std::vector{status});
    }
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("a refused request that comes byte by byte is refused the same") {
    TestProxy test;
    for (const auto& [what, status, request] : refused_requests(test.token)) {
        if (request.size() > 300) continue;
        CAPTURE(what);
        CAPTURE(request);
        RawSocket client = test.connect();
        for (const char byte : request)
            client.send({&byte, 1});
        CHECK(statuses_until_end(client) == std::vector{status});
    }
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("a refused request behind a good one is the only one that is refused") {
    TestProxy test;
    for (const auto& [what, status, request] : refused_requests(test.token)) {
        CAPTURE(what);
        CAPTURE(request.substr(0, 200));
        RawSocket client = test.connect();
        client.send(test.get("/good") + request + test.get("/smuggled"));
        RawSocket server = test.backend.listener.accept();
        CHECK(server.read_until("\r\n\r\n").starts_with("GET /good "));
        server.send(ok);
        CHECK(statuses_until_end(client) == std::vector{200, status});
        CHECK(server.is_silent(0ms));
    }
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("what leads nowhere reaches no backend, and the connection goes on") {
    TestProxy test;
    RawSocket client = test.connect();
    for (const std::string& token :
         {std::string(43, 'A'), std::string(43, 't'),
          test.backend.token(false, timeouts::token_life.count()), TestBackend("other", 1).token(),
          TestBackend("other", 2).token()}) {
        CAPTURE(token);
        client.send("GET /" + token + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CHECK(status_line(client.read_response()) == "HTTP/1.1 410 Gone");
    }
    check_that_nothing_arrived(test);
    client.send(test.get());
    test.backend.listener.accept().send(ok);
    CHECK(client.read_response().ends_with("ok"));
}

TEST_CASE("a head that does not come in time is a 408, however often some of it comes") {
    TestProxy test(1, true, {.slow_head = 100ms});
    RawSocket client = test.connect();
    std::string begin;
    std::vector<int> expected{408};
    SUBCASE("the first of its connection") {
    }
    SUBCASE("behind a good one") {
        begin = test.get("/good");
        expected.insert(expected.begin(), 200);
    }
    client.send(begin + "GET /" + test.token + "/ HTTP/1.1\r\nHost: localhost\r\nA: ");
    if (!begin.empty()) {
        RawSocket server = test.backend.listener.accept();
        CHECK(server.read_until("\r\n\r\n").starts_with("GET /good "));
        server.send(ok);
    }
    while (client.is_silent(5ms))
        client.send("x");
    CHECK(statuses_until_end(client) == expected);
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("a connection without a head between two is not slow") {
    TestProxy test(1, true, {.slow_head = 150ms});
    RawSocket client = test.connect();
    for (int turn = 0; turn < 2; ++turn) {
        client.send(test.get());
        test.backend.listener.accept().send(ok);
        CHECK(client.read_response().ends_with("ok"));
        CHECK(client.is_silent(300ms));
    }
}

TEST_CASE("one connection too many is answered so, and the next one after an end is served") {
    TestProxy test(1, true, {.max_connections = 2});
    RawSocket first = test.connect();
    RawSocket second = test.connect();
    for (RawSocket* client : {&first, &second}) {
        client->send(test.get());
        test.backend.listener.accept().send(ok);
        CHECK(client->read_response().ends_with("ok"));
    }
    RawSocket third = test.connect();
    third.send(test.get("/third"));
    CHECK(statuses_until_end(third) == std::vector{429});
    check_that_nothing_arrived(test);
    third.close();
    first.close();
    CHECK(eventually([&] {
        RawSocket next = test.connect();
        next.send(test.get());
        if (!test.backend.listener.has_client(20ms)) return false;
        test.backend.listener.accept().send(ok);
        return next.read_response().ends_with("ok");
    }));
}

TEST_CASE("one held request too many is answered so, and the others are held") {
    TestProxy test(1, true, {.max_held_requests = 2});
    test.proxy->publish(test.backend.route(Route::State::pending));
    std::vector<RawSocket> held;
    for (const std::string path : {"/0", "/1"}) {
        held.push_back(test.connect());
        held.back().send(test.get(path));
        CHECK(held.back().is_silent());
    }
    RawSocket third = test.connect();
    third.send(test.get("/third") + test.get("/smuggled"));
    CHECK(statuses_until_end(third) == std::vector{429});
    check_that_nothing_arrived(test);
    test.proxy->publish(test.backend.route(Route::State::ready));
    for (const std::string path : {"/0", "/1"}) {
        RawSocket server = test.backend.listener.accept();
        CHECK(server.read_until("\r\n\r\n").starts_with("GET " + path + " "));
        server.send(ok);
    }
    for (RawSocket& client : held)
        CHECK(client.read_response().ends_with("ok"));
    test.check_that_it_serves();
}

TEST_CASE("a Host that the settings name passes, and others are foreign as before") {
    TestProxy test(1, true, {.hosts = {"devbox"}});
    const auto get = [&](const char* host) {
        return "GET /" + test.token + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    };
    RawSocket client = test.connect();
    client.send(get("DevBox:4000"));
    test.backend.listener.accept().send(ok);
    CHECK(client.read_response().ends_with("ok"));
    for (const char* host : {"elsewhere.example", "a.devbox", "devbox.elsewhere.example"}) {
        CAPTURE(host);
        RawSocket foreign = test.connect();
        foreign.send(get(host));
        CHECK(statuses_until_end(foreign) == std::vector{403});
    }
    check_that_nothing_arrived(test);
}

TEST_CASE("an upgrade of a page from elsewhere passes unless the service refuses it") {
    TestProxy test;
    const std::string upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const auto is_served = [&](const std::string& lines) {
        RawSocket client = test.connect();
        client.send(test.get("/", lines));
        test.backend.listener.accept().send(ok);
        return client.read_response().ends_with("ok");
    };
    CHECK(is_served(upgrade + "Origin: http://elsewhere.example\r\n"));

    Route strict = *test.backend.route(Route::State::ready);
    strict.refuses_foreign_origins = true;
    test.proxy->publish(std::make_shared<const Route>(strict));
    for (const std::string origin :
         {"http://elsewhere.example", "http://localhost.elsewhere.example", "http://localhost:1",
          "http://127.0.0.1", "null", "localhost"}) {
        CAPTURE(origin);
        RawSocket client = test.connect();
        client.send(test.get("/", upgrade + "Origin: " + origin + "\r\n") + test.get("/smuggled"));
        CHECK(statuses_until_end(client) == std::vector{403});
    }
    check_that_nothing_arrived(test);
    CHECK(is_served(upgrade + "Origin: http://localhost\r\n"));
    CHECK(is_served(upgrade));
    CHECK(is_served("Origin: http://elsewhere.example\r\n"));
}

namespace {

// Broken where a chunk may begin.
const std::vector<std::string> broken_chunks{
    // No size.
    "\r\n",
    "nonsense\r\n",
    "-1\r\na\r\n",
    "+1\r\na\r\n",
    " 1\r\na\r\n",
    "0x1\r\na\r\n",
    ";a\r\n",
    // A size line that could end elsewhere.
    "1\na\n",
    "1\ra\r\n",
    "1 \r\na\r\n",
    "1\0\r\na\r\n"s,
    "1,1\r\na\r\n",
    "1;a\nb\r\na\r\n",
    "1;a\rb\r\na\r\n",
    "1; a\r\na\r\n",
    "1 ;a\r\na\r\n",
    "1;a\0b\r\na\r\n"s,
    // A size line that is too much.
    "8000000000000000\r\na",
    "FFFFFFFFFFFFFFFF\r\na",
    "10000000000000001\r\na",
    "00000000000000001\r\na\r\n",
    "1;" + std::string(2000, 'x') + "\r\na\r\n",
    // Data that is not as long as it is said to be.
    "1\r\nab\r\n",
    "2\r\na\r\n0\r\n\r\n",
    "1\r\na0\r\n\r\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\na\r0\r\n\r\n",
    // A last chunk or trailers that could end elsewhere.
    "0\n\n",
    "0\r\n\n",
    "0\r\nA: b\n\r\n",
    "0\r\nA: b\rB: c\r\n\r\n",
    "0\r\nA: b\r\n c\r\n\r\n",
    "0\r\n A: b\r\n\r\n",
    "0\r\nA : b\r\n\r\n",
    "0\r\n: b\r\n\r\n",
    "0\r\nA\r\n\r\n",
    "0\r\nA: b\0c\r\n\r\n"s,
    "0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "0\r\n" + repeated(most_fields + 1, "A: b\r\n") + "\r\n",
    "0\r\nA: " + std::string(longest_head, 'x') + "\r\n\r\n",
};

}  // namespace

TEST_CASE("a body in broken chunks is refused, and the backend sees no end of it") {
    TestProxy test;
    const std::string post = test.post("Transfer-Encoding: chunked\r\n");
    for (const std::string& broken : broken_chunks) {
        CAPTURE(broken.substr(0, 200));
        RawSocket client = test.connect();
        client.send(post + "5\r\nhello\r\n");
        RawSocket server = test.backend.listener.accept();
        CHECK(server.read_until("hello\r\n").starts_with("POST / HTTP/1.1\r\n"));
        client.send(broken + test.get("/smuggled"));
        CHECK(statuses_until_end(client) == std::vector{400});
        const std::string after = server.read_to_end();
        CHECK_FALSE(has(after, "0\r\n"));
        CHECK_FALSE(has(after, "GET"));
    }
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("of a request whose chunks are broken from the begin the backend sees nothing") {
    TestProxy test;
    for (const std::string& broken : broken_chunks) {
        if (broken.size() > 300) continue;  // what comes in pieces passes on in pieces
        CAPTURE(broken);
        RawSocket client = test.connect();
        client.send(test.post("Transfer-Encoding: chunked\r\n") + broken + test.get("/smuggled"));
        RawSocket server = test.backend.listener.accept();
        CHECK(statuses_until_end(client) == std::vector{400});
        CHECK(server.read_to_end().empty());
    }
    check_that_nothing_arrived(test);
    test.check_that_it_serves();
}

TEST_CASE("trailers that would smuggle are left out, and what follows them is the next request") {
    TestProxy test;
    RawSocket client = test.connect();
    client.send(test.post("Transfer-Encoding: chunked\r\n") +
                "1;a=\"0\"\r\na\r\n0;b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
                "Host: elsewhere.example\r\nServer-Timing: a\r\nx-verified-username: root\r\n"
                "X_Verified_Secret: forged\r\nConnection: close\r\nAuthorization: b\r\n\r\n" +
                test.get("/next"));
    RawSocket server = test.backend.listener.accept();
    CHECK(server.read_until("\r\n\r\n").starts_with("POST / HTTP/1.1\r\n"));
    CHECK(server.read_until("\r\n\r\n") == "1\r\na\r\n0\r\nServer-Timing: a\r\n\r\n");
    CHECK(server.is_silent());
    server.send(ok);
    CHECK(server.read_until("\r\n\r\n").starts_with("GET /next HTTP/1.1\r\n"));
    server.send(ok);
    CHECK(client.read_response().ends_with("ok"));
    CHECK(client.read_response().ends_with("ok"));
}

}  // namespace jamsock::test
