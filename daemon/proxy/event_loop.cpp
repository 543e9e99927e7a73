#include "daemon/proxy/event_loop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

namespace jamsock {

namespace {

constexpr int events_per_turn = 256;

UniqueFd made(int fd, const char* what) {
    if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
    return UniqueFd(fd);
}

}  // namespace

EventLoop::EventLoop()
    : epoll_(made(::epoll_create1(EPOLL_CLOEXEC), "epoll")),
      wake_(made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      now_(std::chrono::steady_clock::now()),
      scratch_(scratch_size) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

void EventLoop::run() {
    std::array<epoll_event, events_per_turn> events;
    while (is_running_) {
        const int limit = again_.empty() ? wait_limit() : 0;
        const int count = ::epoll_wait(epoll_.get(), events.data(), events_per_turn, limit);
        now_ = std::chrono::steady_clock::now();
        turn(std::span(events).first(static_cast<std::size_t>(std::max(count, 0))));
    }
}

void EventLoop::turn(std::span<const epoll_event> events) {
    catch_up();
    call_again();
    for (const epoll_event& event : events) {
        if (event.data.ptr) static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
    }
    ring();
    std::vector<std::unique_ptr<Mortal>>().swap(buried_);
}

// Those that ask during their call wait for the next turn.
void EventLoop::call_again() {
    HookList<Watcher, AgainTag> waiting;
    waiting.swap(again_);
    while (!waiting.empty()) {
        Watcher& next = waiting.front();
        waiting.pop_front();
        next.on_ready(0);
    }
}

void EventLoop::catch_up() {
    if (!has_posted_) return;
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard lock(mutex_);
        tasks.swap(posted_);
        has_posted_ = false;
        std::uint64_t count = 0;
        [[maybe_unused]] const auto taken = ::read(wake_.get(), &count, sizeof count);
    }
    is_catching_up_ = true;
    for (const auto& task : tasks)
        task();
    is_catching_up_ = false;
}

void EventLoop::post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    if (has_posted_.exchange(true)) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

bool EventLoop::watch(int fd, std::uint32_t events, Watcher& watcher) {
    epoll_event event{.events = events, .data = {.ptr = &watcher}};
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::hand_over(int fd, std::uint32_t events, Watcher& watcher) {
    epoll_event event{.events = events, .data = {.ptr = &watcher}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::again(Watcher& watcher) {
    if (!watcher.Hook<AgainTag>::is_linked()) again_.push_back(watcher);
}

EventLoop::AlarmQueue& EventLoop::queue_of(std::chrono::nanoseconds limit) {
    for (const auto& queue : queues_) {
        if (queue->limit == limit) return *queue;
    }
    return *queues_.emplace_back(std::make_unique<AlarmQueue>(limit));
}

void EventLoop::set(Alarm& alarm, std::chrono::nanoseconds limit) {
    alarm.clear();
    alarm.due_ = now_ + limit;
    queue_of(limit).alarms.push_back(alarm);
}

int EventLoop::wait_limit() const {
    auto next = std::chrono::steady_clock::time_point::max();
    for (const auto& queue : queues_) {
        if (!queue->alarms.empty()) next = std::min(next, queue->alarms.front().due_);
    }
    if (next == std::chrono::steady_clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now_).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void EventLoop::ring() {
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        auto& alarms = queues_[i]->alarms;
        while (!alarms.empty() && alarms.front().due_ <= now_) {
            Alarm& due = alarms.front();
            due.clear();
            due.on_due();
        }
    }
}

void EventLoop::bury(std::unique_ptr<Mortal> object) {
    buried_.push_back(std::move(object));
}

}  // namespace jamsock
