#include "daemon/proxy/proxy.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "daemon/proxy/proxy_loop.h"

namespace jamsock {

namespace {

std::vector<UniqueFd> duplicates(const std::vector<UniqueFd>& sockets) {
    std::vector<UniqueFd> copies;
    for (const UniqueFd& socket : sockets) {
        copies.emplace_back(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
        if (!copies.back())
            throw std::system_error(errno, std::generic_category(), "the proxy's socket");
    }
    return copies;
}

}  // namespace

Proxy::Proxy(std::vector<UniqueFd> listening, unsigned threads, ProxyLimits limits,
             IdentityLookup look_up) {
    const auto counts = std::make_shared<ProxyCounts>();
    limits.max_strangers = std::max<std::size_t>(limits.max_strangers / threads, 1);
    for (unsigned i = 0; i < threads; ++i) {
        loops_.push_back(
            std::make_shared<ProxyLoop>(duplicates(listening), limits, counts, look_up));
    }
}

void Proxy::start() {
    for (const auto& loop : loops_)
        loop->start();
}

Proxy::~Proxy() {
    stop();
}

void Proxy::publish(std::shared_ptr<const Route> route) {
    for (const auto& loop : loops_)
        loop->publish(route);
}

void Proxy::remove(std::uint64_t serial) {
    for (const auto& loop : loops_)
        loop->remove(serial);
}

void Proxy::cut_revoked(std::uint64_t serial) {
    for (const auto& loop : loops_)
        loop->cut_revoked(serial);
}

ProxyTraffic Proxy::traffic() const {
    ProxyTraffic sum;
    for (const auto& loop : loops_) {
        const ProxyTraffic one = loop->traffic();
        sum.requests += one.requests;
        sum.bytes += one.bytes;
    }
    return sum;
}

void Proxy::stop() {
    for (const auto& loop : loops_)
        loop->begin_stop();
    for (const auto& loop : loops_)
        loop->join();
    loops_.clear();
}

}  // namespace jamsock
