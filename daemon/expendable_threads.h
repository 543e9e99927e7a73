// Threads for what may never return: a look at a path that a user has named, whose file system may
// hang. A coroutine waits for the function's result until a deadline, and then goes on without; the
// thread is left to itself, and its place is free again when it returns. On one thread, the loop's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "daemon/asio.h"

#include <boost/asio/post.hpp>

namespace jamsock {

class ExpendableThreads {
  public:
    // `loop` must outlive this, which outlives no thread.
    ExpendableThreads(asio::io_context& loop, std::size_t most)
        : free_(most), link_(std::make_shared<Link>(loop)) {}
    ExpendableThreads(const ExpendableThreads&) = delete;
    ExpendableThreads& operator=(const ExpendableThreads&) = delete;
    ~ExpendableThreads() {
        const std::lock_guard locked(link_->mutex);
        link_->is_cut = true;
    }

    // Nothing: it has not returned by then, or never began as all threads were taken. `function`
    // must not throw, and owns what it uses. Not to be called inside a `co_await` expression, as
    // HelperThread::run.
    template <class Function>
    Task<std::optional<std::invoke_result_t<Function>>> run(Function function, Deadline until) {
        bool may_come = true;
        while (free_ == 0 && may_come)
            may_come = co_await freed_.wait_until(until);
        if (free_ == 0) co_return std::nullopt;
        const auto call = std::make_shared<Call<std::invoke_result_t<Function>>>();
        const bool began = begin(call, std::move(function));
        while (began && !call->result && may_come)
            may_come = co_await call->returned.wait_until(until);
        co_return std::move(call->result);
    }

  private:
    // What a thread may still touch when its owner is gone.
    struct Link {
        explicit Link(asio::io_context& to) : loop(to) {}
        std::mutex mutex;
        bool is_cut = false;
        asio::io_context& loop;
    };
    template <class Value>
    struct Call {
        std::optional<Value> result;
        Event returned;
    };

    template <class Value, class Function>
    bool begin(const std::shared_ptr<Call<Value>>& call, Function function) {
        auto work = [this, call, link = link_, function = std::move(function)]() mutable {
            Value value = function();
            const std::lock_guard locked(link->mutex);
            if (link->is_cut) return;
            asio::post(link->loop, [this, call, value = std::move(value)]() mutable {
                ++free_;
                freed_.notify_all();
                call->result = std::move(value);
                call->returned.notify_all();
            });
        };
        try {
            std::thread(std::move(work)).detach();
        } catch (const std::system_error&) {  // no more threads
            return false;
        }
        --free_;
        return true;
    }

    std::size_t free_;
    Event freed_;
    std::shared_ptr<Link> link_;
};

}  // namespace jamsock
