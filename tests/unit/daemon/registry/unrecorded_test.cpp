#include "daemon/registry/unrecorded.h"

#include <doctest/doctest.h>

#include "tests/support/result_of.h"

using namespace jamsock;
using namespace std::chrono_literals;
using test::result_of;

namespace {

// What isn't in the database is Conflict, and given up; what is in it is recorded.
struct World {
    Store store = Store::open(":memory:").value();
    StoreWriter writer{store};
    int told = 0;
    Unrecorded unrecorded{writer, [this] { ++told; }};
    asio::io_context loop;

    World() { asio::co_spawn(loop, unrecorded.keep_recording(), asio::detached); }
    void settle() {
        loop.restart();
        loop.poll();
    }
};

const BackendId nobody = BackendId::parse("nobody").value();

}  // namespace

TEST_CASE("what never can be recorded is given up, and nobody waits for it") {
    World world;
    world.unrecorded.add(nobody, {.status = Status::loading, .time = 1});
    world.unrecorded.add(nobody, {.status = Status::terminated, .time = 2});
    CHECK(world.unrecorded.of(nobody).size() == 2);
    CHECK(result_of(world.loop, world.unrecorded.catch_up()));
    CHECK(world.unrecorded.of(nobody).empty());
    CHECK(world.told == 2);
    CHECK_FALSE(world.unrecorded.is_blocked());
}

TEST_CASE("nobody waits beyond the stop") {
    World world;
    CHECK(result_of(world.loop, world.unrecorded.recorded(after(10s))));
    asio::co_spawn(world.loop, world.unrecorded.finish(), asio::detached);
    world.settle();
    world.unrecorded.add(nobody, {.status = Status::loading, .time = 1});
    CHECK_FALSE(result_of(world.loop, world.unrecorded.recorded(after(10s))));
    CHECK_FALSE(result_of(world.loop, world.unrecorded.catch_up()));
}
