#include "daemon/store/store_writer.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>

#include "tests/support/result_of.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace std::chrono_literals;
using test::result_of;

namespace {

struct World {
    test::TemporaryDirectory directory;
    std::string path = directory.path("jamsock.db");
    std::unique_ptr<StoreWriter> writer = StoreWriter::on_a_thread(Store::open(path).value());
    Store reading = Store::open_for_reading(path).value();
    asio::io_context loop;

    static Store::ServiceRow row(const char* name) {
        return {.name = ServiceName::parse(name).value(), .created_at = 1};
    }
    Result<> record(const char* name) {
        return result_of(loop, writer->record_service(row(name)));
    }
    std::size_t rows() const { return reading.services().value().size(); }
};

}  // namespace

TEST_CASE("what was written on the thread is read at once by the other connection") {
    World world;
    for (const char* name : {"a", "b", "c"})
        REQUIRE(world.record(name));
    CHECK(world.rows() == 3);
    std::uint64_t writes = 0;
    for (const std::uint64_t count : world.writer->write_times().counts())
        writes += count;
    CHECK(writes == 3);
}

TEST_CASE("a foreign lock keeps a write until it is gone or for too long, and no reader") {
    World world;
    REQUIRE(world.record("before"));
    SQLite::Database other(world.path, SQLite::OPEN_READWRITE, 1000);
    other.exec("BEGIN IMMEDIATE");
    std::optional<Result<>> written;
    asio::co_spawn(
        world.loop,
        [&]() -> Task<> {
            const Store::ServiceRow row = World::row("waits");
            auto result = co_await world.writer->record_service(row);
            written = std::move(result);
        },
        asio::detached);
    world.loop.run_for(100ms);
    CHECK_FALSE(written);
    CHECK(world.rows() == 1);
    other.exec("ROLLBACK");
    world.loop.restart();
    world.loop.run();
    REQUIRE(written);
    CHECK(*written);
    CHECK(world.rows() == 2);

    other.exec("BEGIN IMMEDIATE");
    world.writer->hurry(20ms);
    CHECK_FALSE(world.record("refused"));
    other.exec("ROLLBACK");
    CHECK(world.rows() == 2);
    CHECK(world.record("after"));
    asio::co_spawn(world.loop, world.writer->finish(), asio::detached);
    world.loop.restart();
    world.loop.run();
}
