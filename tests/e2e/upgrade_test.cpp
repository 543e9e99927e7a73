// Upgrades to a protocol of one's own: after the 101, bytes both ways, each side closed by itself.
#include <doctest/doctest.h>

#include "tests/support/eventually.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

const std::string to_chat = "Connection: keep-alive, Upgrade\r\nUpgrade: chat/1\r\n";

void check_switched(RawSocket& client) {
    const std::string head = client.read_until("\r\n\r\n");
    CAPTURE(head);
    REQUIRE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    CHECK(head.find("\r\nUpgrade: chat/1\r\n") != std::string::npos);
}

bool counts_none(const WebBackend& backend) {
    return eventually([&] { return backend.entry().connections == 0; });
}

}  // namespace

TEST_CASE("after the 101 bytes pass both ways, also those right behind the heads") {
    const WebBackend backend;
    RawSocket client = backend.connect();
    REQUIRE(client.send("GET " + backend.target("chat") + " HTTP/1.1\r\nHost: localhost\r\n" +
                        to_chat + "\r\nearly\r\n\r\n"));
    check_switched(client);
    CHECK(client.read_until("early\r\n\r\n") == "welcome\nearly\r\n\r\n");
    const std::string every_byte = [] {
        std::string bytes(256, '\0');
        for (std::size_t value = 0; value < bytes.size(); ++value)
            bytes[value] = static_cast<char>(value);
        return bytes;
    }();
    REQUIRE(client.send(every_byte));
    CHECK(client.read_exactly(every_byte.size()) == every_byte);
    CHECK(backend.entry().connections == 1);
    client.close();
    CHECK(counts_none(backend));
}

TEST_CASE("a client that has closed its sending side still hears its backend") {
    const WebBackend backend;
    RawSocket client = backend.ask("chat", to_chat);
    check_switched(client);
    client.send("my last\n");
    client.shutdown_sending();
    CHECK(client.read_to_end() == "welcome\nmy last\nlast words\n");
    CHECK(client.is_at_end());
    CHECK(counts_none(backend));
}

TEST_CASE("a backend that has closed its sending side still hears its client") {
    const WebBackend backend;
    RawSocket client = backend.ask("listener", to_chat);
    check_switched(client);
    CHECK(client.read_to_end() == "speak\n");
    REQUIRE(client.send("heard "));
    REQUIRE(client.send("and heard"));
    client.shutdown_sending();
    CHECK(backend.has_seen("heard", "heard and heard"));
    CHECK(counts_none(backend));
}

TEST_CASE("a backend that breaks its tunnel breaks its client's") {
    const WebBackend backend;
    RawSocket client = backend.ask("breaker", to_chat);
    check_switched(client);
    CHECK(client.read_exactly(8) == "welcome\n");
    REQUIRE(client.send("break"));
    client.read_to_end();
    CHECK(client.is_broken());
    CHECK(counts_none(backend));
}

TEST_CASE("an upgrade that the backend refuses is a plain answer, and the connection goes on") {
    const WebBackend backend;
    RawSocket client = backend.ask("refuse", to_chat);
    const std::string refusal = client.read_until("chat/2!\n");
    CHECK(refusal.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    CHECK(refusal.ends_with("\r\n\r\nchat/2!\n"));
    REQUIRE(client.send("GET " + backend.target("sized") + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK(client.read_until("0123456789").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a backend that knows no upgrades answers as if none was asked for") {
    const Home home;
    const std::string url =
        home.output_of({"connect", "--key", "document-123", "--", test_backend()});
    const std::string answer =
        curl({"--include", "--header", "Connection: Upgrade", "--header", "Upgrade: chat/1",
              "--write-out", "%{num_connects}\n", url, url});
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.find("\r\n\r\nok\n1\nHTTP/1.1 200 OK\r\n") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\nok\n0\n"));
}
