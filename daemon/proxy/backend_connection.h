// The connections of one proxy thread to one backend: each carries one request at a time, and waits
// in its backend's pool between two. On the loop's thread.
#pragma once

#include <memory>
#include <vector>

#include "daemon/proxy/event_loop.h"
#include "daemon/proxy/port_guard.h"
#include "daemon/proxy/routes.h"
#include "daemon/proxy/stream.h"

namespace jamsock {

class BackendPool;

class BackendConnection final : public Mortal, public Watcher, public Alarm {
  public:
    // Begins to connect: what is written goes out as soon as that is done and `guard`, if any, lets
    // it; and whoever reads learns that it failed (EACCES: the guard saw a stranger). Nothing: no
    // descriptor is left, or `is_last_resort` is not set and too few are.
    static std::unique_ptr<BackendConnection> open(EventLoop& loop, const Route& route,
                                                   std::shared_ptr<PortGuard> guard,
                                                   bool is_last_resort);
    BackendConnection(EventLoop& loop, UniqueFd fd);

    Stream& stream() { return stream_; }
    Inflow& inflow() { return inflow_; }
    bool is_connected() const { return is_connected_; }
    bool was_used() const { return was_used_; }

    // `user` is called (with 0) about all that epoll says of the connection.
    void serve(Watcher& user);
    // Closed, and at the end of the turn no more.
    static void end(EventLoop& loop, std::unique_ptr<BackendConnection> connection);

    void on_ready(std::uint32_t events) override;
    void on_due() override;

  private:
    friend class BackendPool;

    void on_connected(std::uint32_t events);

    EventLoop& loop_;
    Stream stream_;
    Inflow inflow_;
    Watcher* user_ = nullptr;
    BackendPool* pool_ = nullptr;
    std::shared_ptr<PortGuard> guard_;  // until it was asked
    bool is_connected_ = false;
    bool was_used_ = false;
};

class BackendPool {
  public:
    explicit BackendPool(EventLoop& loop) : loop_(loop) {}
    BackendPool(const BackendPool&) = delete;
    BackendPool& operator=(const BackendPool&) = delete;
    ~BackendPool() { clear(); }

    // The one used last. Nothing: none waits. `surely_open`: asks the kernel as well, for a request
    // that can't be sent a second time.
    std::unique_ptr<BackendConnection> take(bool surely_open);
    void put(std::unique_ptr<BackendConnection> connection);
    void drop(BackendConnection& connection);
    void clear();

  private:
    EventLoop& loop_;
    std::vector<std::unique_ptr<BackendConnection>> idle_;
};

}  // namespace jamsock
