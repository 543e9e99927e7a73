// The loop of one proxy thread: waits for its descriptors, alarms and posted tasks, and calls who
// waits for them. Nothing but epoll, since a request costs little more than its system calls: a
// descriptor is watched once, edge-triggered, and its owner remembers what epoll said. All but
// `post` is called on the loop's thread.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock {

// Places in lists that end with whoever is in them.
template <class Tag>
using Hook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
template <class T, class Tag>
using HookList = boost::intrusive::list<T, boost::intrusive::base_hook<Hook<Tag>>,
                                        boost::intrusive::constant_time_size<false>>;

// Who is called about a descriptor. It may be called once more after it has closed that one.
class Watcher : public Hook<class AgainTag> {
  public:
    // `events` as in epoll(7); 0: it asked to be called again.
    virtual void on_ready(std::uint32_t events) = 0;

  protected:
    ~Watcher() = default;
};

// Who is called after a time. Ends with its owner.
class Alarm : public Hook<class AlarmTag> {
  public:
    virtual void on_due() = 0;
    void clear() { Hook<AlarmTag>::unlink(); }
    bool is_set() const { return Hook<AlarmTag>::is_linked(); }
    virtual ~Alarm() = default;

  private:
    friend class EventLoop;
    std::chrono::steady_clock::time_point due_;
};

// What the loop may still hold a pointer to until the end of its turn.
class Mortal {
  public:
    virtual ~Mortal() = default;
};

class EventLoop {
  public:
    static constexpr std::size_t scratch_size = 256 * 1024;

    EventLoop();

    void run();  // until `stop`
    void stop() { is_running_ = false; }
    // Any thread, also before `run` and after `stop`, when nothing comes of it.
    void post(std::function<void()> task);
    // What was posted so far is done, in its order, before anything that came later: who has read
    // what may have been sent after a post asks, and acts on it when it is called `again`.
    bool has_posted() const { return is_catching_up_ || has_posted_; }

    // False: the kernel takes no more.
    bool watch(int fd, std::uint32_t events, Watcher& watcher);
    // Another owner for a watched descriptor; what is ready now is told anew.
    void hand_over(int fd, std::uint32_t events, Watcher& watcher);
    // Before it is closed: the kernel forgets a closed one only when nobody else has it open.
    void unwatch(int fd);
    // Calls it once more after all others had their turn.
    void again(Watcher& watcher);
    // Due once after `limit`, in place of what it was set to. There are few limits: each has a
    // queue, in which who began first is due first, so that thousands cost nothing.
    void set(Alarm& alarm, std::chrono::nanoseconds limit);
    // Destroyed at the end of this turn.
    void bury(std::unique_ptr<Mortal> object);

    // How many bytes were read on this loop. Any thread may ask.
    void count_read(std::size_t size) {
        bytes_read_.store(bytes_read_.load(std::memory_order_relaxed) + size,
                          std::memory_order_relaxed);
    }
    std::uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }

    // One buffer for whoever reads, until it returns to the loop or reads again.
    std::span<char> scratch() { return scratch_; }
    std::chrono::steady_clock::time_point now() const { return now_; }  // when this turn began

  private:
    struct AlarmQueue {
        std::chrono::nanoseconds limit;
        HookList<Alarm, AlarmTag> alarms;
    };

    AlarmQueue& queue_of(std::chrono::nanoseconds limit);
    int wait_limit() const;  // milliseconds, for epoll
    void turn(std::span<const epoll_event> events);
    void catch_up();
    void call_again();
    void ring();

    UniqueFd epoll_;
    UniqueFd wake_;
    bool is_running_ = true;
    bool is_catching_up_ = false;
    std::chrono::steady_clock::time_point now_;
    std::vector<char> scratch_;
    HookList<Watcher, AgainTag> again_;
    std::vector<std::unique_ptr<AlarmQueue>> queues_;
    std::vector<std::unique_ptr<Mortal>> buried_;
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;  // under the mutex
    std::atomic<bool> has_posted_ = false;
    std::atomic<std::uint64_t> bytes_read_ = 0;  // written by the loop's thread alone
};

}  // namespace jamsock
