#include "daemon/proxy/proxy_loop.h"

#include <boost/asio/post.hpp>

#include "common/timeouts.h"
#include "daemon/descriptor_share.h"
#include "daemon/proxy/session.h"

namespace jamsock {

ProxyLoop::ProxyLoop(UniqueFd listening, Proxy::IdentityLookup look_up)
    : look_up_(std::move(look_up)), listening_(context_, listening.release()) {
}

ProxyLoop::~ProxyLoop() = default;

void ProxyLoop::start() {
    asio::co_spawn(context_, serve(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
}

void ProxyLoop::publish(std::shared_ptr<const Route> route) {
    asio::post(context_, [this, route = std::move(route)]() mutable { put(std::move(route)); });
}

void ProxyLoop::remove(std::uint64_t serial) {
    asio::post(context_, [this, serial] { drop(serial); });
}

void ProxyLoop::cut_revoked(std::uint64_t serial) {
    asio::post(context_, [this, serial] {
        for (Session* session : sessions_)
            session->cut_if_revoked(serial);
    });
}

void ProxyLoop::begin_stop() {
    asio::post(context_, [this] { asio::co_spawn(context_, stop(), asio::detached); });
}

void ProxyLoop::join() {
    if (thread_.joinable()) thread_.join();
}

std::shared_ptr<RouteEntry> ProxyLoop::find(std::uint64_t serial) const {
    const auto found = entries_.find(serial);
    return found == entries_.end() ? nullptr : found->second;
}

void ProxyLoop::leave(Session& session) {
    sessions_.erase(&session);
    session_left_.notify_all();
}

Task<ProxyLoop::LookedUp> ProxyLoop::look_up(std::string token_hash) {
    struct Answer {
        LookedUp result;
        Event come;
    };
    const auto answer = std::make_shared<Answer>();
    look_up_(std::move(token_hash),
             [weak = weak_from_this(), answer](std::optional<Identity> identity) {
                 const auto loop = weak.lock();
                 if (!loop) return;
                 asio::post(loop->context_, [answer, identity = std::move(identity)]() mutable {
                     answer->result = {true, std::move(identity)};
                     answer->come.notify_all();
                 });
             });
    const Deadline deadline = after(timeouts::identity_answer);
    while (!answer->result.was_answered) {
        if (!co_await answer->come.wait_until(deadline)) break;
    }
    co_return answer->result;
}

void ProxyLoop::put(std::shared_ptr<const Route> route) {
    std::shared_ptr<RouteEntry>& entry = entries_[route->serial];
    if (!entry) entry = std::make_shared<RouteEntry>();
    entry->route = std::move(route);
    entry->changed.notify_all();
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
    entry->changed.notify_all();
}

Task<> ProxyLoop::serve() {
    const std::function<void(std::shared_ptr<Connection>)> start_session =
        [this](std::shared_ptr<Connection> client) {
            const auto run = [](std::shared_ptr<Session> session) -> Task<> {
                co_await session->run();
            };
            auto session = std::make_shared<Session>(*this, std::move(client));
            asio::co_spawn(context_, run(std::move(session)), asio::detached);
        };
    const std::function<Task<>(int)> room = [this](int newest) {
        return wait_for_descriptors(static_cast<std::size_t>(newest));
    };
    co_await accept_connections(listening_, room, {}, start_session);
}

Task<> ProxyLoop::wait_for_descriptors(std::size_t newest) {
    while (must_leave_free(DescriptorUse::proxy_client, newest) && listening_.is_open()) {
        co_await sleep_for(timeouts::accept_pause);
        newest = lowest_free_descriptor();
    }
}

// Has every coroutine end in its own way, and the loop with the last of them; only what does not
// end in time is thrown away with the loop.
Task<> ProxyLoop::stop() {
    is_stopping_ = true;
    error_code ignored;
    listening_.close(ignored);
    for (Session* session : sessions_)
        session->cut();
    const Deadline deadline = after(timeouts::server_stop);
    while (!sessions_.empty()) {
        if (!co_await session_left_.wait_until(deadline)) co_return context_.stop();
    }
}

}  // namespace jamsock
