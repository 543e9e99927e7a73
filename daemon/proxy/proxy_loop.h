// One proxy thread: its event loop, its table of routes, and the connections it serves. The table
// is its own: changes are posted to the loop, which takes them in before it reads anything that was
// sent after them.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/http/head_rules.h"
#include "daemon/proxy/backend_connection.h"
#include "daemon/proxy/event_loop.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/strangers.h"

namespace jamsock {

// A client's connection, for its whole life: a session, or the tunnel that it became.
class Served : public Mortal, public Hook<class ServedTag> {
  public:
    // Ends it now, wherever it is.
    virtual void cut() = 0;
    // The token that it last presented, of a backend with that serial; or none.
    virtual bool uses_revoked(std::uint64_t serial) = 0;
};

// Who waits for a backend to become ready.
class Held : public Hook<class HeldTag> {
  public:
    virtual void on_route_change() = 0;

  protected:
    ~Held() = default;
};

// A place in the table; who holds on to it learns from it also of its backend's end.
struct RouteEntry {
    explicit RouteEntry(EventLoop& loop) : pool(loop) {}

    std::shared_ptr<const Route> route;
    std::shared_ptr<PortGuard> guard;  // of where it leads, if that is known
    HookList<Held, HeldTag> held;
    BackendPool pool;
};

// How much all loops of a proxy have in hand.
struct ProxyCounts {
    std::atomic<std::size_t> connections = 0;  // but strangers'
    std::atomic<std::size_t> held_requests = 0;
};

// One of a counted kind, for as long as it lives.
class Counted {
  public:
    explicit Counted(std::atomic<std::size_t>& count) : count_(&count) { ++count; }
    Counted(Counted&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Counted& operator=(Counted&&) = delete;
    ~Counted() {
        if (count_) --*count_;
    }

  private:
    std::atomic<std::size_t>* count_;
};

class ProxyLoop : public std::enable_shared_from_this<ProxyLoop> {
  public:
    ProxyLoop(std::vector<UniqueFd> listening, const ProxyLimits& limits,
              std::shared_ptr<ProxyCounts> counts, Proxy::IdentityLookup look_up);
    ~ProxyLoop();

    // On the control thread.
    void start();
    void publish(std::shared_ptr<const Route> route);
    void remove(std::uint64_t serial);
    void cut_revoked(std::uint64_t serial);
    void begin_stop();
    void join();

    // What came through it so far. Any thread.
    ProxyTraffic traffic() const {
        return {requests_.load(std::memory_order_relaxed), events_.bytes_read()};
    }

    // On the loop's thread, for those it serves.
    EventLoop& events() { return events_; }
    const ProxyLimits& limits() const { return limits_; }
    ProxyCounts& counts() { return *counts_; }
    Strangers& strangers() { return strangers_; }
    std::shared_ptr<RouteEntry> find(std::uint64_t serial) const;
    bool is_stopping() const { return is_stopping_; }
    void count_request() {
        requests_.store(requests_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void serve(std::unique_ptr<Served> served);
    void end(Served& served);  // it is destroyed at the end of the turn
    // A connection to the backend, to be used by `user`; nothing: no descriptor is left for it.
    std::unique_ptr<BackendConnection> connect(const RouteEntry& entry, Watcher& user);

    // Calls back on the loop's thread.
    void look_up(std::string token_hash, std::function<void(std::optional<Identity>)> answer);

    // To be filled anew by whoever parses a head or writes pieces.
    RequestHead request_head;
    ResponseHead response_head;
    std::string text;
    std::vector<std::string_view> pieces;

  private:
    class Acceptor;
    class Trim;

    void put(std::shared_ptr<const Route> route);
    std::shared_ptr<PortGuard> guard_of(const Route& route);
    void drop(std::uint64_t serial);
    void stop();
    void tell_held(RouteEntry& entry);

    ProxyLimits limits_;
    Proxy::IdentityLookup look_up_;
    std::shared_ptr<ProxyCounts> counts_;
    EventLoop events_;
    TcpInquiry inquiry_;
    Strangers strangers_;
    std::unordered_map<std::uint64_t, std::shared_ptr<RouteEntry>> entries_;
    HookList<Served, ServedTag> served_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unique_ptr<Trim> trim_;
    bool is_stopping_ = false;
    std::atomic<std::uint64_t> requests_ = 0;  // written by the loop's thread alone
    std::thread thread_;
};

}  // namespace jamsock
