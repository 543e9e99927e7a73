#include "daemon/proxy/stream.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace jamsock {

namespace {

struct CountingWatcher final : Watcher {
    void on_ready(std::uint32_t) override { ++calls; }
    int calls = 0;
};

void run_one_turn(EventLoop& loop) {
    loop.post([&] { loop.stop(); });
    loop.run();
}

}  // namespace

TEST_CASE(
    "a closed stream's watcher is called no more, although a spawned process has the socket") {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
    const UniqueFd peer(pair[1]);
    Stream stream{UniqueFd(pair[0])};
    EventLoop loop;
    CountingWatcher watcher;
    REQUIRE(stream.watch(loop, watcher));
    const UniqueFd of_the_process(::dup(stream.fd()));
    stream.close();
    REQUIRE(::write(peer.get(), "x", 1) == 1);
    run_one_turn(loop);
    CHECK(watcher.calls == 0);
}

}  // namespace jamsock
