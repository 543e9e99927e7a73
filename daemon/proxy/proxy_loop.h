// One proxy thread: its event loop, its table of routes, and the sessions it serves. The table is
// its own: changes are posted to the loop, which runs them before it reads anything sent after
// them.
#pragma once

#include <memory>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "daemon/asio.h"
#include "daemon/http/connection.h"
#include "daemon/proxy/proxy.h"

namespace jamsock {

class Session;

// A place in the table; sessions hold on to it, so that it tells them also of its end.
struct RouteEntry {
    std::shared_ptr<const Route> route;
    Event changed;
};

class ProxyLoop : public std::enable_shared_from_this<ProxyLoop> {
  public:
    ProxyLoop(UniqueFd listening, Proxy::IdentityLookup look_up);
    ~ProxyLoop();

    // On the control thread.
    void start();
    void publish(std::shared_ptr<const Route> route);
    void remove(std::uint64_t serial);
    void cut_revoked(std::uint64_t serial);
    void begin_stop();
    void join();

    // On the loop's thread, for its sessions.
    asio::io_context& context() { return context_; }
    std::shared_ptr<RouteEntry> find(std::uint64_t serial) const;
    bool is_stopping() const { return is_stopping_; }
    void enter(Session& session) { sessions_.insert(&session); }
    void leave(Session& session);
    bool has_one_session() const { return sessions_.size() == 1; }

    struct LookedUp {
        bool was_answered = false;
        std::optional<Identity> identity;
    };
    Task<LookedUp> look_up(std::string token_hash);

  private:
    void put(std::shared_ptr<const Route> route);
    void drop(std::uint64_t serial);
    Task<> serve();
    Task<> wait_for_descriptors(std::size_t newest);
    Task<> stop();

    Proxy::IdentityLookup look_up_;
    std::unordered_map<std::uint64_t, std::shared_ptr<RouteEntry>> entries_;
    std::unordered_set<Session*> sessions_;
    Event session_left_;
    bool is_stopping_ = false;
    asio::io_context context_{
        1};  // below what the sessions that it may still hold use at their end
    asio::posix::stream_descriptor listening_;
    std::thread thread_;
};

}  // namespace jamsock
