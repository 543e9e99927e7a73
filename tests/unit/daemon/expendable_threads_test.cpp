#include "daemon/expendable_threads.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>

#include "common/unique_fd.h"

using namespace jamsock;
using namespace std::chrono_literals;

namespace {

// What reads from it hangs until it is let go.
struct Hung {
    Hung() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        reader = UniqueFd(ends[0]);
        writer = UniqueFd(ends[1]);
    }
    void let_go() { writer.reset(); }

    UniqueFd reader, writer;
};

struct World {
    asio::io_context loop;
    ExpendableThreads threads{loop, 2};

    // Empty, inside: it was not waited for to the end.
    template <class Function>
    std::optional<int> run(Function function, std::chrono::milliseconds limit) {
        std::optional<int> answer;
        asio::co_spawn(
            loop,
            [&]() -> Task<> {
                auto result = co_await threads.run(function, after(limit));
                answer = result;
            },
            asio::detached);
        loop.restart();
        loop.run();
        return answer;
    }
};

}  // namespace

TEST_CASE("a function's result is there as soon as it returns") {
    World world;
    for (const int number : {1, 2, 3, 4})
        CHECK(world.run([number] { return number; }, 10s) == number);
}

TEST_CASE("what hangs is left behind, with its thread, and nobody else waits for it for long") {
    World world;
    Hung hung;
    const auto read = [fd = hung.reader.get()] {
        char byte = 0;
        return static_cast<int>(::read(fd, &byte, 1));
    };
    CHECK_FALSE(world.run(read, 10ms));
    CHECK(world.run([] { return 7; }, 10s) == 7);
    CHECK_FALSE(world.run(read, 10ms));
    CHECK_FALSE(world.run([] { return 7; }, 10ms));
    hung.let_go();
    CHECK(world.run([] { return 7; }, 10s) == 7);
}
