// Runs a task to its end, for tests that are no coroutines.
#pragma once

#include <doctest/doctest.h>

#include <optional>

#include "daemon/asio.h"

namespace jamsock::test {

// Of a task that waits for nothing which isn't in `loop`.
template <class T>
T result_of(asio::io_context& loop, Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(
        loop,
        [&]() -> Task<> {
            T value = co_await std::move(task);
            result.emplace(std::move(value));
        },
        asio::detached);
    loop.restart();
    while (!result && loop.run_one() > 0)
        continue;
    REQUIRE(result);
    return std::move(*result);
}

template <class T>
T result_of(Task<T> task) {
    asio::io_context loop;
    return result_of(loop, std::move(task));
}

}  // namespace jamsock::test
