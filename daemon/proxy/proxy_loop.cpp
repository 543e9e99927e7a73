#include "daemon/proxy/proxy_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/timeouts.h"
#include "daemon/descriptor_share.h"
#include "daemon/proxy/session.h"

namespace jamsock {

// Takes new clients from one listening socket, which all loops share: one at a time, so that each
// loop gets some.
class ProxyLoop::Acceptor final : public Watcher, public Alarm {
  public:
    // The one that comes too late must not block.
    Acceptor(ProxyLoop& loop, UniqueFd listening) : loop_(loop), listening_(std::move(listening)) {
        ::fcntl(listening_.get(), F_SETFL, ::fcntl(listening_.get(), F_GETFL) | O_NONBLOCK);
    }

    void open() { loop_.events().watch(listening_.get(), EPOLLIN | EPOLLEXCLUSIVE, *this); }
    void close() {
        clear();
        loop_.events().unwatch(listening_.get());
        listening_.reset();
    }

    void on_ready(std::uint32_t) override {
        if (!listening_) return;
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        UniqueFd client(::accept4(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client) return pause_unless_harmless(errno);
        const auto newest = static_cast<std::size_t>(client.get());
        loop_.serve(Session::accepted(loop_, std::move(client), address));
        if (must_leave_free(DescriptorUse::proxy_client, newest)) pause();
    }
    void on_due() override {
        if (must_leave_free(DescriptorUse::proxy_client, lowest_free_descriptor())) {
            loop_.events().set(*this, timeouts::accept_pause);
        } else {
            open();
        }
    }

  private:
    // Another loop took it, or it left.
    void pause_unless_harmless(int error) {
        const bool is_harmless = error == EAGAIN || error == ECONNABORTED || error == EINTR;
        if (!is_harmless) pause();
    }
    // Who connects meanwhile waits, as while no descriptor is left.
    void pause() {
        loop_.events().unwatch(listening_.get());
        loop_.events().set(*this, timeouts::accept_pause);
    }

    ProxyLoop& loop_;
    UniqueFd listening_;
};

// Gives memory back to the system some time after many connections have ended: the allocator by
// itself keeps what lies between blocks that are in use.
class ProxyLoop::Trim final : public Alarm {
  public:
    explicit Trim(EventLoop& events) : events_(events) {}

    void count_end() {
        if (++ended_ == worth_it) events_.set(*this, timeouts::memory_trim);
    }
    void on_due() override {
        ended_ = 0;
        ::malloc_trim(0);
    }

  private:
    static constexpr int worth_it = 500;
    EventLoop& events_;
    int ended_ = 0;
};

ProxyLoop::ProxyLoop(std::vector<UniqueFd> listening, const ProxyLimits& limits,
                     std::shared_ptr<ProxyCounts> counts, Proxy::IdentityLookup look_up)
    : limits_(limits),
      look_up_(std::move(look_up)),
      counts_(std::move(counts)),
      strangers_(inquiry_, limits.max_strangers, limits.own_user),
      trim_(std::make_unique<Trim>(events_)) {
    for (UniqueFd& socket : listening)
        acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(socket)));
}

ProxyLoop::~ProxyLoop() {
    served_.clear_and_dispose([](Served* served) { delete served; });
}

void ProxyLoop::start() {
    for (const auto& acceptor : acceptors_)
        acceptor->open();
    thread_ = std::thread([this] { events_.run(); });
}

void ProxyLoop::publish(std::shared_ptr<const Route> route) {
    events_.post([this, route = std::move(route)] { put(route); });
}

void ProxyLoop::remove(std::uint64_t serial) {
    events_.post([this, serial] { drop(serial); });
}

void ProxyLoop::cut_revoked(std::uint64_t serial) {
    events_.post([this, serial] {
        for (auto at = served_.begin(); at != served_.end();) {
            Served& served = *at++;
            if (served.uses_revoked(serial)) served.cut();
        }
    });
}

void ProxyLoop::begin_stop() {
    events_.post([this] { stop(); });
}

void ProxyLoop::join() {
    if (thread_.joinable()) thread_.join();
}

std::shared_ptr<RouteEntry> ProxyLoop::find(std::uint64_t serial) const {
    const auto found = entries_.find(serial);
    return found == entries_.end() ? nullptr : found->second;
}

void ProxyLoop::serve(std::unique_ptr<Served> served) {
    served_.push_back(*served.release());
}

void ProxyLoop::end(Served& served) {
    if (!served.Hook<ServedTag>::is_linked()) return;
    served.Hook<ServedTag>::unlink();
    events_.bury(std::unique_ptr<Served>(&served));
    trim_->count_end();
}

// A loop's only client may go further, as adopted backends may hold too many descriptors for ever.
std::unique_ptr<BackendConnection> ProxyLoop::connect(const RouteEntry& entry, Watcher& user) {
    const bool is_only_one = !served_.empty() && &served_.front() == &served_.back();
    auto connection = BackendConnection::open(events_, *entry.route, entry.guard, is_only_one);
    if (connection) connection->serve(user);
    return connection;
}

void ProxyLoop::look_up(std::string token_hash,
                        std::function<void(std::optional<Identity>)> answer) {
    look_up_(std::move(token_hash), [weak = weak_from_this(),
                                     answer = std::move(answer)](std::optional<Identity> identity) {
        const auto loop = weak.lock();
        if (!loop) return;
        loop->events_.post(
            [answer, identity = std::move(identity)]() mutable { answer(std::move(identity)); });
    });
}

void ProxyLoop::tell_held(RouteEntry& entry) {
    HookList<Held, HeldTag> waiting;
    waiting.swap(entry.held);
    while (!waiting.empty()) {
        Held& next = waiting.front();
        waiting.pop_front();
        next.on_route_change();
    }
}

void ProxyLoop::put(std::shared_ptr<const Route> route) {
    std::shared_ptr<RouteEntry>& entry = entries_[route->serial];
    if (!entry) entry = std::make_shared<RouteEntry>(events_);
    const bool is_new = !entry->route;
    const bool has_moved = !is_new && !entry->route->is_where(*route);
    entry->route = std::move(route);
    if (is_new || has_moved) entry->guard = guard_of(*entry->route);
    if (has_moved || entry->route->state == Route::State::ending) entry->pool.clear();
    tell_held(*entry);
}

std::shared_ptr<PortGuard> ProxyLoop::guard_of(const Route& route) {
    if (!route.listener) return nullptr;
    const int family = route.is_ipv6 ? AF_INET6 : AF_INET;
    return std::make_shared<PortGuard>(inquiry_, TcpEndpoint::loopback(family, route.port),
                                       *route.listener);
}

// Sessions that hold the entry must see an end, and still why it came.
void ProxyLoop::drop(std::uint64_t serial) {
    const auto found = entries_.find(serial);
    if (found == entries_.end()) return;
    const std::shared_ptr<RouteEntry> entry = found->second;
    entries_.erase(found);
    Route last = *entry->route;
    last.state = Route::State::ending;
    entry->route = std::make_shared<const Route>(std::move(last));
    entry->pool.clear();
    tell_held(*entry);
}

void ProxyLoop::stop() {
    is_stopping_ = true;
    for (const auto& acceptor : acceptors_)
        acceptor->close();
    while (!served_.empty())
        served_.front().cut();
    // A look-up that is still unanswered keeps its entry beyond the loop.
    for (const auto& [serial, entry] : entries_)
        entry->pool.clear();
    entries_.clear();
    events_.stop();
}

}  // namespace jamsock
