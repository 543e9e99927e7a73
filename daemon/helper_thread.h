// The one thread for what may block: spawning, file and /proc reads, checkpoints (DESIGN, Threads).
// A coroutine hands it a function and goes on on its own thread with the function's result.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "daemon/asio.h"

namespace jamsock {

class HelperThread {
  public:
    ~HelperThread() { stop(); }

    // `function` must not throw, and owns what it uses. Not to be called inside a `co_await`
    // expression: GCC 12 destroys a lambda made there twice. A plain function that returns this
    // task is the way.
    template <class Function>
    Task<std::invoke_result_t<Function>> run(Function function) {
        auto work = [](Function owned) -> Task<std::invoke_result_t<Function>> {
            co_return owned();
        };
        return asio::co_spawn(thread_, work(std::move(function)), asio::use_awaitable);
    }

    // Waits for the function that runs; those that wait behind it never start.
    void stop() {
        thread_.stop();
        thread_.join();
    }

  private:
    asio::thread_pool thread_{1};
};

}  // namespace jamsock
