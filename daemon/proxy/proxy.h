// The data plane: forwards requests that carry a connection token to the backends, on threads of
// its own. It sees routes only, never the registry or the store. All public functions are called on
// the control thread.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/timeouts.h"
#include "common/unique_fd.h"
#include "daemon/proxy/routes.h"

namespace jamsock {

// What a connect call said about its user; the backend gets it in x-verified-username and
// x-verified-user-data.
struct Identity {
    std::optional<std::string> user;
    std::optional<std::string> auth;  // an object's JSON, ASCII only
};

class ProxyLoop;

// What clients asked, refused requests included, and the bytes read from clients and backends.
struct ProxyTraffic {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
};

// How much clients may have, and by which names.
struct ProxyLimits {
    std::size_t max_connections = 20'000;  // of clients at a time that have shown a token
    std::size_t max_strangers = 1'000;     // of other users' that have not; above, the oldest go
    uid_t own_user = ::geteuid();          // whose are no strangers
    std::size_t max_held_requests = 1'000;
    std::chrono::nanoseconds slow_head = timeouts::slow_head;  // for a whole request head, and
                                                               // from the begin to the first one
    std::vector<std::string> hosts = {};  // of this machine, beside its loopback's
};

class Proxy {
  public:
    // Called on a proxy thread, once per connection and token that has an identity; may answer
    // later and from any thread, also after the proxy's end. Nothing: the token is not (or no
    // longer) known.
    using IdentityLookup = std::function<void(std::string token_hash,
                                              std::function<void(std::optional<Identity>)> answer)>;

    // `listening` are bound and listening TCP sockets, to be served on `threads` threads.
    Proxy(std::vector<UniqueFd> listening, unsigned threads, ProxyLimits limits,
          IdentityLookup look_up);
    ~Proxy();

    // Begins to serve; clients that came before have waited in the socket's backlog. Once, when the
    // routes of all backends that run already are published: who has their URLs is not denied.
    void start();

    // A new or changed route. A request that its client sends after this returned finds it.
    void publish(std::shared_ptr<const Route> route);
    // Unknown from now on; held requests are refused.
    void remove(std::uint64_t serial);
    // Ends the connections that use a revoked token of that backend, as its route has them: to be
    // called after `publish`.
    void cut_revoked(std::uint64_t serial);

    // Since the start, of all threads.
    ProxyTraffic traffic() const;

    // Cuts all connections and ends the threads. Idempotent.
    void stop();

  private:
    std::vector<std::shared_ptr<ProxyLoop>> loops_;
};

}  // namespace jamsock
