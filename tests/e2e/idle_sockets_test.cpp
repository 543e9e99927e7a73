// Thousands of WebSockets on which nothing flows: the daemon goes on as before, and what they took
// comes back when they close.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/sanitized.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::size_t wanted = 5000;
constexpr std::size_t at_a_time = 100;
constexpr std::size_t most_kept = 8 * 1024 * 1024;
constexpr std::chrono::seconds until_all_are_closed{30};

// The daemon needs two descriptors for each, and lets clients of backends take three quarters.
std::size_t allowed_sockets() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t room = limit.rlim_max / 4 * 3 / 2 - 200;
    if (room < wanted) MESSAGE("only ", room, " sockets: the limit is ", limit.rlim_max);
    return std::min(wanted, room);
}

void open_some(const WebBackend& backend, std::size_t count, std::vector<RawSocket>& sockets) {
    const std::size_t before = sockets.size();
    while (sockets.size() < before + count) {
        sockets.push_back(backend.ask("echo",
                                      "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                      "Sec-WebSocket-Version: 13\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
    }
    for (std::size_t index = before; index < sockets.size(); ++index) {
        const std::string head = sockets[index].read_until("\r\n\r\n");
        REQUIRE(head.starts_with("HTTP/1.1 101 "));
    }
}

std::vector<RawSocket> opened(const WebBackend& backend, std::size_t count) {
    std::vector<RawSocket> sockets;
    while (sockets.size() < count)
        open_some(backend, std::min(at_a_time, count - sockets.size()), sockets);
    return sockets;
}

bool is_idle(const WebBackend& backend) {
    return backend.entry().connections == 0;
}

bool comes_back(auto measured, std::size_t before) {
    return eventually([&] { return measured() <= before; }, until_all_are_closed);
}

}  // namespace

TEST_CASE("thousands of idle WebSockets hinder nobody, and leave nothing behind") {
    const WebBackend backend;
    const pid_t worker = backend.home.worker();
    const auto memory = [&] { return resident_memory(worker); };
    const auto descriptors = [&] { return descriptors_of(worker).size(); };
    opened(backend, at_a_time);
    REQUIRE(eventually([&] { return is_idle(backend); }));
    const std::size_t memory_before = memory();
    const std::size_t descriptors_before = descriptors();

    const std::size_t count = allowed_sockets();
    std::vector<RawSocket> sockets = opened(backend, count);
    CHECK(backend.entry().connections == count);
    CHECK(backend.entry().idle_seconds == 0);
    CHECK(curl({backend.home.output_of({"connect", "web", "--key", "document-123"})}) == "ok\n");
    CHECK(backend.home.output_of({"list"}).find("document-123") != std::string::npos);
    for (const std::size_t index : {std::size_t{0}, count / 2, count - 1}) {
        REQUIRE(sockets[index].send(std::string("\x81\x82\0\0\0\0hi", 8)));  // a masked text frame
        CHECK(sockets[index].read_exactly(4) == "\x81\x02hi");
    }

    sockets.clear();
    CHECK(eventually([&] { return is_idle(backend); }, until_all_are_closed));
    CHECK(comes_back(descriptors, descriptors_before));
    if (!is_sanitized) CHECK(comes_back(memory, memory_before + most_kept));
    CHECK(eventually([&] { return backend.entry().idle_seconds > 0; }));
}
