// A proxy between raw sockets: a client on one side, a backend on the other, both of which the test
// itself plays.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "daemon/proxy/proxy.h"
#include "tests/support/raw_socket.h"

namespace jamsock::test {

inline constexpr const char* ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

inline bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

inline std::string status_line(const std::string& response) {
    return response.substr(0, response.find("\r\n"));
}

// A backend whose side of the conversation the test plays.
struct TestBackend {
    explicit TestBackend(std::string name, std::uint64_t number, int family = AF_INET)
        : id(std::move(name)), serial(number), is_ipv6(family == AF_INET6), listener(family) {}

    std::shared_ptr<const Route> route(Route::State state,
                                       bool startup_limit_passed = false) const {
        return std::make_shared<const Route>(Route{.id = BackendId::parse(id).value(),
                                                   .serial = serial,
                                                   .key = key,
                                                   .state = state,
                                                   .port = listener.port(),
                                                   .is_ipv6 = is_ipv6,
                                                   .listener = known,
                                                   .startup_limit_passed = startup_limit_passed,
                                                   .activity = activity,
                                                   .revoked = revoked});
    }
    std::string token(bool has_identity = false, std::int64_t age = 0) const {
        const auto now = static_cast<std::int64_t>(wall_milliseconds() / 1000);
        return ConnectionToken::issue(key, serial, static_cast<std::uint32_t>(now - age),
                                      has_identity)
            .reveal();
    }

    std::string id;
    std::uint64_t serial;
    bool is_ipv6;
    MacKey key = MacKey::generate();
    // From the next route on.
    void revoke(const std::string& token) {
        revoke(revoked->with({ConnectionToken::decode(token)->hash()}));
    }
    void revoke(RevokedTokens all) {
        revoked = std::make_shared<const RevokedTokens>(std::move(all));
    }

    std::shared_ptr<Activity> activity = std::make_shared<Activity>();
    std::optional<KnownListener> known;  // as it was when it became ready
    std::shared_ptr<const RevokedTokens> revoked = std::make_shared<const RevokedTokens>();
    RawListener listener;
};

// A proxy with one ready backend.
struct TestProxy {
    explicit TestProxy(unsigned threads = 1, bool starts = true, ProxyLimits limits = {}) {
        RawListener listening;
        port = listening.port();
        std::vector<UniqueFd> sockets;
        sockets.push_back(listening.take());
        if (has_ipv6_loopback()) {
            RawListener listening_ipv6(AF_INET6);
            ipv6_port = listening_ipv6.port();
            sockets.push_back(listening_ipv6.take());
        }
        proxy.emplace(
            std::move(sockets), threads, limits,
            [this](std::string hash, std::function<void(std::optional<Identity>)> answer) {
                const std::lock_guard lock(mutex);
                ++lookups;
                last_hash = std::move(hash);
                answer(identity);
            });
        proxy->publish(backend.route(Route::State::ready));
        if (starts) proxy->start();
    }

    RawSocket connect() const { return RawSocket::connect(port); }
    std::string get(const std::string& path = "/", const std::string& lines = "") const {
        return "GET /" + token + path + " HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
    }
    std::string post(const std::string& lines) const {
        return "POST /" + token + "/ HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
    }
    // A request that passes all the way: nothing before it broke the proxy.
    void check_that_it_serves() const {
        RawSocket client = connect();
        client.send(get());
        RawSocket server = backend.listener.accept();
        CHECK(server.read_until("\r\n\r\n").starts_with("GET / HTTP/1.1\r\n"));
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        CHECK(client.read_response().ends_with("\r\n\r\nok"));
    }

    TestBackend backend{"knrv5", 1};
    std::string token = backend.token();
    std::uint16_t port = 0;
    std::uint16_t ipv6_port = 0;  // 0: this machine has no IPv6
    std::mutex mutex;
    std::optional<Identity> identity;
    int lookups = 0;
    std::string last_hash;
    std::optional<Proxy> proxy;
};

}  // namespace jamsock::test
