// Waits on behalf of somebody who may leave meanwhile: the client of a request. On one thread.
#pragma once

#include "daemon/asio.h"

namespace jamsock {

class Caller {
  public:
    bool has_left() const { return has_left_; }

    // Ends the wait, and all that would come.
    void leave() {
        has_left_ = true;
        if (waiting_) waiting_->expires_at(Deadline());
    }

    // As Event::wait_until; false also if the caller has left. One wait at a time.
    Task<bool> wait_until(Event& event, Deadline deadline) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        timer.expires_at(has_left_ ? Deadline() : deadline);
        const Waiting waiting(*this, timer);
        const bool notified = co_await event.wait(timer);
        co_return notified && !has_left_;
    }

  private:
    // Keeps the timer known for as long as its coroutine's frame lives.
    class Waiting {
      public:
        Waiting(Caller& caller, asio::steady_timer& timer) : caller_(caller) {
            caller_.waiting_ = &timer;
        }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
        ~Waiting() { caller_.waiting_ = nullptr; }

      private:
        Caller& caller_;
    };

    bool has_left_ = false;
    asio::steady_timer* waiting_ = nullptr;
};

// How long to wait, and for whom.
struct Patience {
    Patience(Deadline deadline, Caller* who = nullptr) : until(deadline), caller(who) {}

    // Always in a loop, as Event::wait_until.
    Task<bool> wait_for(Event& event) const {
        return caller ? caller->wait_until(event, until) : event.wait_until(until);
    }

    Deadline until;
    Caller* caller;  // null: nobody who may leave
};

}  // namespace jamsock
