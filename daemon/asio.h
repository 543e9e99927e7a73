// The one way by which the daemon includes Asio, and the waits that all its coroutines share.
#pragma once

#include <utility>  // Boost 1.74 in C++20 mode lacks this include of its own

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <list>
#include <memory>

namespace jamsock {

namespace asio = boost::asio;
using boost::system::error_code;

template <class T = void>
using Task = asio::awaitable<T>;

using Deadline = std::chrono::steady_clock::time_point;

inline Deadline after(std::chrono::nanoseconds duration) {
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration);
}

// Completion token: errors come back in `failed` in place of an exception.
inline auto catching(error_code& failed) {
    return asio::redirect_error(asio::use_awaitable, failed);
}

inline Task<> sleep_for(std::chrono::nanoseconds duration) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_at(after(duration));
    error_code ignored;
    co_await timer.async_wait(catching(ignored));
}

// Something that happens, for coroutines on one thread to wait for. Always used in a loop:
//     while (!condition) if (!co_await event.wait_until(deadline)) break;
// Must outlive its waiters' next resumption: an owner that ends keeps it in a shared_ptr.
class Event {
  public:
    // True: notified. False: the deadline passed first.
    Task<bool> wait_until(Deadline deadline) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        timer.expires_at(deadline);
        co_return co_await wait(timer);
    }

    // The same with a timer that others may set to an earlier time meanwhile: true then, too.
    Task<bool> wait(asio::steady_timer& timer) {
        const Waiting waiting(*this, timer);
        error_code cancelled;
        co_await timer.async_wait(catching(cancelled));
        co_return cancelled == asio::error::operation_aborted;
    }

    void notify_all() {
        for (asio::steady_timer* timer : waiters_)
            timer->cancel();
    }

  private:
    // Keeps a timer in the list for as long as its coroutine's frame lives.
    class Waiting {
      public:
        Waiting(Event& event, asio::steady_timer& timer)
            : event_(event), place_(event.waiters_.insert(event.waiters_.end(), &timer)) {}
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
        ~Waiting() { event_.waiters_.erase(place_); }

      private:
        Event& event_;
        std::list<asio::steady_timer*>::iterator place_;
    };

    std::list<asio::steady_timer*> waiters_;  // thousands, of which each takes itself off
};

inline constexpr Deadline never = Deadline::max();

// Runs `operation` on `stream` and closes the stream if it lasts longer than `limit`, which ends
// the operation with an error. Closing, not cancelling: an operation of several steps could
// slip between them past a cancel.
template <class Stream, class T>
Task<T> with_deadline(Stream& stream, std::chrono::nanoseconds limit, Task<T> operation) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_at(after(limit));
    const auto still_running = std::make_shared<bool>(true);
    timer.async_wait([&stream, still_running](error_code cancelled) {
        if (cancelled || !*still_running) return;
        error_code ignored;
        stream.close(ignored);
    });
    struct Done {
        std::shared_ptr<bool> flag;
        ~Done() { *flag = false; }
    } const done{still_running};
    co_return co_await std::move(operation);
}

}  // namespace jamsock
