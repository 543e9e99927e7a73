#include "daemon/http/server.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "common/timeouts.h"
#include "daemon/http/event_stream.h"
#include "daemon/proxy/peer.h"
#include "tests/support/eventually.h"
#include "tests/support/raw_socket.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;

// More than the buffers of a connection take at once.
std::string large_body() {
    std::string body;
    while (body.size() < 32'000'000)
        body += std::to_string(body.size()) + ' ';
    return body;
}

// A body that begins with "lacks" must have ten bytes, whatever its Content-Length says.
std::size_t missing_bytes_of_test(const Request& so_far) {
    if (!so_far.body.starts_with("lacks")) return 0;
    return so_far.body.size() < 10 ? 10 - so_far.body.size() : 0;
}

std::optional<Response> refusal_of_test(const Request& head) {
    if (!head.header("x-stranger")) return std::nullopt;
    return Response{.status = 401, .body = "who are you?"};
}

// A server on a free port, with a service that answers what it was asked.
class TestServer {
  public:
    // With `most_with_other`: and another one, whose connections count with the first one's.
    explicit TestServer(std::size_t most_connections = 1000, std::size_t most_with_other = 0) {
        port_ = add(most_connections);
        if (most_with_other > 0) other_port_ = add(most_with_other);
        thread_ = std::thread([this] { loop_.run(); });
    }

    ~TestServer() {
        begin_stop().wait();
        work_.reset();
        thread_.join();
    }

    void close_idle() {
        asio::post(loop_, [this] { servers_.front()->begin_stop(); });
    }

    std::future<void> begin_stop() { return asio::co_spawn(loop_, stop(), asio::use_future); }

    void go_on() {
        asio::post(loop_, [this] {
            may_go_on_ = true;
            went_on_.notify_all();
        });
    }

    RawSocket connect() const { return RawSocket::connect(port_); }
    RawSocket connect_to_other() const { return RawSocket::connect(other_port_); }
    int served() const { return served_; }
    std::string exception() const {
        const std::lock_guard lock(mutex_);
        return exception_;
    }
    int callers_left() const { return callers_left_; }
    bool subscriber_left() const { return subscriber_left_; }
    void accept_nobody() { accepts_ = false; }

  private:
    std::uint16_t add(std::size_t most_connections) {
        RawListener listener;
        const std::uint16_t port = listener.port();
        servers_.push_back(std::make_unique<Server>(
            loop_, listener.take(), [this](Request request) { return answer(std::move(request)); },
            ServerOptions{.refuse =
                              [](int status, std::string sentence) {
                                  return Response{.status = status, .body = "refused: " + sentence};
                              },
                          .turns_away = &refusal_of_test,
                          .accept_filter = [this](int) { return accepts_.load(); },
                          .on_exception =
                              [this](const Request& request, const std::string& what) {
                                  const std::lock_guard lock(mutex_);
                                  exception_ = request.method + " " + request.path + ": " + what;
                                  return Response{.status = 500, .body = "a bug's"};
                              },
                          .is_gone = [](int fd) { return peer_state(fd) == PeerState::gone; },
                          .body_limit = 1000,
                          .missing_bytes = &missing_bytes_of_test,
                          .most_connections = most_connections,
                          .connections = connections_}));
        servers_.back()->start();
        return port;
    }

    Task<> stop() {
        for (const auto& server : servers_)
            co_await server->stop();
    }

    Task<Response> answer(Request request) {
        ++served_;
        if (request.path == "/throw") throw std::runtime_error("a bug");
        if (request.path == "/wait") {
            while (!may_go_on_)
                co_await went_on_.wait_until(never);
        }
        if (request.path == "/patient") {
            const Patience patience(never, request.caller);
            while (!may_go_on_ && !request.caller->has_left())
                co_await patience.wait_for(went_on_);
            if (request.caller->has_left()) ++callers_left_;
        }
        if (request.path == "/indented") {
            co_return Response{.events = [](EventStream& stream) -> Task<> {
                co_await stream.send("  two spaces");
            }};
        }
        if (request.path == "/events") {
            co_return Response{.headers = {{"Content-Type", "text/event-stream"}},
                               .events = [this](EventStream& stream) { return send(stream); }};
        }
        if (request.path == "/broken-off") {
            co_return Response{.events = [](EventStream& stream) -> Task<> {
                co_await stream.send("first");
                throw std::runtime_error("a bug");
            }};
        }
        if (request.path == "/empty") co_return Response{.status = 204};
        if (request.path == "/large") co_return Response{.body = large_body()};
        if (request.path == "/text") {
            co_return Response{.body = "hello", .headers = {{"Content-Type", "text/plain"}}};
        }
        co_return Response{.body = request.method + " " + request.path + " ? " + request.query +
                                   " : " + request.body};
    }

    // One event at once, one when the test says so.
    Task<> send(EventStream& stream) {
        co_await stream.send("first");
        while (!may_go_on_ && !stream.is_over())
            co_await went_on_.wait(stream.presence());
        subscriber_left_ = stream.is_over();
        co_await stream.send("second");
    }

    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
    std::uint16_t port_ = 0;
    std::uint16_t other_port_ = 0;
    std::atomic<bool> accepts_ = true;
    std::atomic<int> served_ = 0;
    std::atomic<int> callers_left_ = 0;
    mutable std::mutex mutex_;
    std::string exception_;  // under the mutex
    std::atomic<bool> subscriber_left_ = false;
    bool may_go_on_ = false;
    Event went_on_;
    std::shared_ptr<ConnectionCount> connections_ = std::make_shared<ConnectionCount>();
    std::vector<std::unique_ptr<Server>> servers_;
    std::thread thread_;
};

std::string get(const std::string& target, const std::string& lines = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
}

std::string post(const std::string& body, const std::string& lines = "") {
    return "POST /p HTTP/1.1\r\nHost: a\r\n" + lines +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("a server answers one request after the other on a connection") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/a?b=c"));
    CHECK(client.read_response() ==
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
          "Connection: keep-alive\r\n\r\nGET /a ? b=c : ");
    client.send(post("body"));
    CHECK(client.read_response().ends_with("\r\n\r\nPOST /p ?  : body"));
    CHECK(client.is_silent());
}

TEST_CASE("what a body is known to lack is read as well, and its connection ends") {
    TestServer server;
    for (const bool at_once : {true, false}) {
        CAPTURE(at_once);
        RawSocket client = server.connect();
        client.send(post("lacks"));
        if (!at_once) CHECK(client.is_silent());
        client.send("12");
        if (!at_once) CHECK(client.is_silent());
        client.send("345" + get("/smuggled"));
        const std::string answer = client.read_response();
        CHECK(answer.find("Connection: close") != std::string::npos);
        CHECK(answer.ends_with("POST /p ?  : lacks12345"));
        CHECK(client.read_to_end().empty());
    }
    CHECK(server.served() == 2);
}

TEST_CASE("a body that is as long as declared ends there, and the next request begins") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(post("plain") + get("/next"));
    CHECK(client.read_response().ends_with(" : plain"));
    CHECK(client.read_response().ends_with("GET /next ?  : "));
    client.send(post("lacks, but not now") + get("/next"));
    CHECK(client.read_response().ends_with(" : lacks, but not now"));
    CHECK(client.read_response().ends_with("GET /next ?  : "));
}

TEST_CASE("chunks tell a body's end themselves: nothing is lacking behind the last one") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(
        "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlacks\r\n"
        "0\r\n\r\n" +
        get("/next"));
    CHECK(client.read_response().ends_with(" : lacks"));
    CHECK(client.read_response().ends_with("GET /next ?  : "));
}

TEST_CASE("a client that sends no more than it declared is answered as it is") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(post("lacks12"));
    client.shutdown_sending();
    const std::string answer = client.read_response();
    CHECK(answer.ends_with(" : lacks12"));
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(client.read_to_end().empty());
}

TEST_CASE("events are sent as they happen, one to a chunk, and the end is told") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/events"));
    CHECK(client.read_until("\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
          "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    CHECK(client.read_until("\r\n") == "c\r\n");
    CHECK(client.read_until("\r\n") == "data:first\n\n\r\n");
    CHECK(client.is_silent());
    server.go_on();
    CHECK(client.read_to_end() == "d\r\ndata:second\n\n\r\n0\r\n\r\n");
    CHECK_FALSE(client.is_broken());
    CHECK_FALSE(server.subscriber_left());
}

TEST_CASE("an HTTP/1.0 client gets events without chunks, and a HEAD gets none") {
    TestServer server;
    server.go_on();
    RawSocket old = server.connect();
    old.send("GET /events HTTP/1.0\r\n\r\n");
    CHECK(old.read_to_end() ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
          "data:first\n\ndata:second\n\n");
    RawSocket curious = server.connect();
    curious.send("HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(curious.read_to_end().ends_with("Connection: close\r\n\r\n"));
}

TEST_CASE("a subscriber who leaves is noticed before the next event") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/events"));
    client.read_until("data:first");
    CHECK_FALSE(server.subscriber_left());
    client.close();
    CHECK(test::eventually([&] { return server.subscriber_left(); }));
}

TEST_CASE("one who says more after the request of a stream is not answered, but missed when gone") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/events") + get("/a"));
    client.read_until("data:first");
    client.send(get("/b"));
    client.close();
    CHECK(test::eventually([&] { return server.subscriber_left(); }));
    CHECK(server.served() == 1);
}

TEST_CASE("an event keeps its first space, though parsers take one off") {
    TestServer server;
    RawSocket client = server.connect();
    client.send("GET /indented HTTP/1.0\r\n\r\n");
    CHECK(client.read_to_end().ends_with("\r\n\r\ndata:   two spaces\n\n"));
}

TEST_CASE("pipelined requests are answered in order") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/1") + post("two") + "\r\n" + get("/3"));
    CHECK(client.read_response().ends_with("GET /1 ?  : "));
    CHECK(client.read_response().ends_with("POST /p ?  : two"));
    CHECK(client.read_response().ends_with("GET /3 ?  : "));
}

TEST_CASE("an answer that the socket does not take at once arrives whole, others meanwhile") {
    TestServer server;
    RawSocket slow = server.connect();
    slow.send(get("/large"));
    CHECK(slow.read_exactly(1) == "H");  // it is being written
    RawSocket other = server.connect();
    other.send(get("/a"));
    CHECK(other.read_response().ends_with("GET /a ?  : "));
    const std::string response = slow.read_response();
    const bool is_whole = response.substr(response.find("\r\n\r\n") + 4) == large_body();
    CHECK(is_whole);
}

TEST_CASE("a request may come byte by byte") {
    TestServer server;
    RawSocket client = server.connect();
    for (const char byte : "\r\n" + post("slow"))
        client.send({&byte, 1});
    CHECK(client.read_response().ends_with("POST /p ?  : slow"));
}

TEST_CASE("a chunked body arrives whole") {
    TestServer server;
    RawSocket client = server.connect();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n" + get("/next"));
    CHECK(client.read_response().ends_with("POST /p ?  : abcde"));
    CHECK(client.read_response().ends_with("GET /next ?  : "));
}

TEST_CASE("a client that waits for 100 Continue gets it, one that does not wait does not") {
    TestServer server;
    RawSocket client = server.connect();
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    CHECK(client.read_response().ends_with(": body"));
    client.send(post("soon", "Expect: 100-continue\r\n"));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("who may not pass is told before anything of the body has come, and asked for none") {
    TestServer server;
    for (const std::string framing :
         {"Content-Length: 900\r\n", "Content-Length: 900\r\nExpect: 100-continue\r\n",
          "Content-Length: 900000000\r\n",
          "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"}) {
        CAPTURE(framing);
        RawSocket client = server.connect();
        client.send("POST /p HTTP/1.1\r\nHost: a\r\nX-Stranger: 1\r\n" + framing + "\r\n");
        CHECK(client.read_response() ==
              "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
              "Content-Length: 12\r\nConnection: close\r\n\r\nwho are you?");
        CHECK(client.is_at_end());
    }
    CHECK(server.served() == 0);
}

TEST_CASE("who may not pass may send all the body before reading why") {
    TestServer server;
    RawSocket client = server.connect();
    CHECK(client.send(post(std::string(16'000'000, 'x'), "X-Stranger: 1\r\n") + get("/smuggled")));
    CHECK(client.read_response().ends_with("who are you?"));
    CHECK(client.is_at_end());
    CHECK(server.served() == 0);
}

TEST_CASE("what has no body goes to the service, whoever asks") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/x", "X-Stranger: 1\r\n") + post("", "X-Stranger: 1\r\n"));
    CHECK(client.read_response().ends_with("GET /x ?  : "));
    CHECK(client.read_response().ends_with("POST /p ?  : "));
}

TEST_CASE("HEAD gets the head of what GET gets, and no body") {
    TestServer server;
    RawSocket client = server.connect();
    client.send("HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n" + get("/text"));
    CHECK(client.read_response(true) ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
          "Connection: keep-alive\r\n\r\n");
    CHECK(client.read_response().ends_with("\r\n\r\nhello"));
}

TEST_CASE("a 204 has neither body nor length") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/empty"));
    CHECK(client.read_response(true) ==
          "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("a client that asks for the end of the connection gets it after the answer") {
    TestServer server;
    for (const std::string& request :
         {get("/x", "Connection: close\r\n"), std::string("GET /x HTTP/1.0\r\n\r\n")}) {
        CAPTURE(request);
        RawSocket client = server.connect();
        client.send(request);
        CHECK(client.read_response().find("Connection: close\r\n") != std::string::npos);
        CHECK(client.is_at_end());
    }
}

TEST_CASE("what can't be read in one way only is refused, and the next client is served") {
    TestServer server;
    for (const std::string request :
         {"GET /x HTTP/1.1\nHost: a\n\n", "GET /x HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
          "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"}) {
        CAPTURE(request);
        RawSocket client = server.connect();
        client.send(request + get("/smuggled"));
        const std::string response = client.read_response();
        CHECK(response.starts_with("HTTP/1.1 400 Bad Request\r\n"));
        CHECK(response.find("Connection: close\r\n") != std::string::npos);
        CHECK(client.is_at_end());
    }
    CHECK(server.served() == 0);
    RawSocket client = server.connect();
    client.send(get("/x"));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("a head that never ends is refused at its limit") {
    TestServer server;
    RawSocket client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x'));
    CHECK(client.read_response().starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a body over the limit is refused whether it says its length or not, readably") {
    TestServer server;
    const std::string large(16'000'000, 'x');  // more than the kernel would take in on its own
    for (const std::string& request :
         {post(large),
          "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nF42400\r\n" + large +
              "\r\n0\r\n\r\n"}) {
        RawSocket client = server.connect();
        CHECK(client.send(request));  // it may finish, and then read why it was refused
        const std::string response = client.read_response();
        CHECK(response.starts_with("HTTP/1.1 413 Payload Too Large\r\n"));
        CHECK(response.find("longer than 1000 bytes") != std::string::npos);
        CHECK(client.is_at_end());
    }
    CHECK(server.served() == 0);
    RawSocket client = server.connect();
    client.send(post(std::string(1000, 'x')));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("an exception out of the service is a 500, told of, and the connection goes on") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/throw") + get("/x"));
    const std::string answer = client.read_response();
    CHECK(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    CHECK(answer.ends_with("a bug's"));
    CHECK(client.read_response().starts_with("HTTP/1.1 200 OK"));
    CHECK(server.exception() == "GET /throw: a bug");
}

TEST_CASE("an exception out of a stream is told of, and breaks the stream off") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/broken-off"));
    client.read_until("\r\n\r\n");
    CHECK(client.read_to_end() == "c\r\ndata:first\n\n\r\n");
    CHECK(server.exception() == "GET /broken-off: a bug");
}

TEST_CASE("a client that the filter refuses is not answered") {
    TestServer server;
    server.accept_nobody();
    RawSocket client = server.connect();
    client.send(get("/x"));
    CHECK(client.read_to_end().empty());
    CHECK(server.served() == 0);
}

TEST_CASE("who connects to a full server waits, and nobody stays there after an answer") {
    TestServer server(2);
    RawSocket long_one = server.connect();
    long_one.send(get("/wait"));
    CHECK(test::eventually([&] { return server.served() == 1; }));
    RawSocket first = server.connect();
    RawSocket second = server.connect();
    second.send(get("/second"));
    CHECK(second.is_silent());

    first.send(get("/first"));
    const std::string answer = first.read_response();
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(answer.find("GET /first") != std::string::npos);
    CHECK(first.is_at_end());
    CHECK(second.read_response().find("GET /second") != std::string::npos);
    server.go_on();
    CHECK(long_one.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a full server stops with those who still wait") {
    TestServer server(1);
    RawSocket only = server.connect();
    only.send(get("/wait"));
    CHECK(test::eventually([&] { return server.served() == 1; }));
    const RawSocket waiting = server.connect();
    const auto stopped = server.begin_stop();
    server.go_on();
    CHECK(only.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(stopped.wait_for(10s) == std::future_status::ready);
}

TEST_CASE("of servers that count together one leaves the other what it may not use itself") {
    TestServer server(3, 2);
    std::vector<RawSocket> strangers;
    for (int i = 0; i < 3; ++i) {
        strangers.push_back(server.connect_to_other());
        strangers.back().send(get("/wait"));
    }
    CHECK(test::eventually([&] { return server.served() == 2; }));
    RawSocket last = server.connect();
    last.send(get("/last"));
    const std::string answer = last.read_response();
    CHECK(answer.find("GET /last") != std::string::npos);
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
    CHECK(last.is_at_end());
    CHECK(server.served() == 3);

    server.go_on();
    for (RawSocket& stranger : strangers)
        CHECK(stranger.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a server stops while others that count with it have all the room") {
    TestServer server(2, 1);
    RawSocket only = server.connect();
    only.send(get("/wait"));
    CHECK(test::eventually([&] { return server.served() == 1; }));
    const RawSocket waiting = server.connect_to_other();
    const auto stopped = server.begin_stop();
    server.go_on();
    CHECK(only.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(stopped.wait_for(10s) == std::future_status::ready);
}

TEST_CASE("accepted sockets are closed on exec") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/x"));
    client.read_response();
    int accepted = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
        if (peer.sin_family != AF_INET) continue;
        ++accepted;
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(accepted == 2);  // both ends are in this process
}

TEST_CASE("who leaves while the service waits is missed, whatever else it had said") {
    TestServer server(1);
    int left = 0;
    for (const std::string& rest : {std::string(), get("/next"), std::string(30'000, 'x')}) {
        RawSocket client = server.connect();
        client.send(get("/patient") + rest);
        CHECK(test::eventually([&] { return server.served() == left + 1; }));
        CHECK(server.callers_left() == left);
        client.close();
        ++left;
        CHECK(test::eventually([&] { return server.callers_left() == left; }));
    }
    server.go_on();
    RawSocket next = server.connect();
    next.send(get("/next"));
    CHECK(next.read_response().ends_with("GET /next ?  : "));
}

TEST_CASE("who has only ended its sending while the service waits gets the answer") {
    TestServer server;
    RawSocket client = server.connect();
    client.send(get("/patient"));
    client.shutdown_sending();
    CHECK(client.is_silent(3 * timeouts::peer_look));
    server.go_on();
    CHECK(client.read_response().starts_with("HTTP/1.1 200 "));
    CHECK(server.callers_left() == 0);
}

TEST_CASE("a server that stops closes idle connections, and others after their answer") {
    TestServer server;
    RawSocket idle = server.connect();
    idle.send(get("/x"));
    idle.read_response();
    RawSocket busy = server.connect();
    busy.send(get("/wait"));
    while (server.served() < 2)
        std::this_thread::yield();

    const auto stopped = server.begin_stop();
    CHECK(idle.is_at_end());
    CHECK_THROWS(server.connect());
    CHECK(stopped.wait_for(0s) == std::future_status::timeout);
    server.go_on();
    CHECK(busy.read_response().find("Connection: close\r\n") != std::string::npos);
    CHECK(busy.is_at_end());
    CHECK(stopped.wait_for(raw_deadline) == std::future_status::ready);
}

TEST_CASE("a stop begins with the idle connections, and a stream still ends as its owner has it") {
    TestServer server;
    RawSocket idle = server.connect();
    idle.send(get("/x"));
    idle.read_response();
    RawSocket subscriber = server.connect();
    subscriber.send(get("/events"));
    subscriber.read_until("data:first\n\n\r\n");

    server.close_idle();
    CHECK(idle.is_at_end());
    CHECK(subscriber.is_silent());
    server.go_on();
    CHECK(subscriber.read_to_end() == "d\r\ndata:second\n\n\r\n0\r\n\r\n");
}

}  // namespace jamsock
