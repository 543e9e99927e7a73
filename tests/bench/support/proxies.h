// The proxies that are measured, in front of one backend: http_backend, which jamsock has started
// as it starts any. Each is configured as people would for the same job: a token is the first part
// of the path, tells the backend, and is taken off. Each has a directory of its own, listens on
// 127.0.0.1, and ends with its object.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/support/bench_home.h"
#include "tests/bench/support/servers.h"

namespace jamsock::bench {

// How the backend is reached.
struct Way {
    Server server;
    std::string prefix;  // of the path: "/<token>", or nothing
};

class JamsockProxy {
  public:
    JamsockProxy();

    Way way() const;  // with the worker of now
    Way direct() const;
    pid_t backend() const { return backend_; }
    std::uint16_t backend_port() const { return backend_port_; }
    const std::string& token() const { return token_; }

  private:
    BenchHome home_;
    std::string token_;
    std::uint16_t proxy_port_ = 0;
    std::uint16_t backend_port_ = 0;
    pid_t backend_ = 0;
};

class NginxServer : public RunningServer {
  public:
    NginxServer(const std::string& token, std::uint16_t backend_port);
};

class HaproxyServer : public RunningServer {
  public:
    HaproxyServer(const std::string& token, std::uint16_t backend_port);
};

// The floor: knows no token, and one backend.
class RelayServer : public RunningServer {
  public:
    explicit RelayServer(std::uint16_t backend_port);
};

// All of them, running. The proxies have the first processor of this process for themselves, the
// backend and this process the second; if `is_spread`, or where there is only one, all have all.
class Proxies {
  public:
    // Of "nginx", "HAProxy" and "relay" only those named in `against`.
    Proxies(const std::vector<std::string>& against, bool is_spread);

    std::vector<Way> ways() const;  // jamsock's first
    Way direct() const { return jamsock_.direct(); }

  private:
    void spread(const std::vector<int>& processors) const;

    std::vector<int> processors_;
    JamsockProxy jamsock_;
    std::optional<NginxServer> nginx_;
    std::optional<HaproxyServer> haproxy_;
    std::optional<RelayServer> relay_;
};

// A browser's requests for the backend's answers …
Talk get_small(const std::string& prefix);
Talk get_large(const std::string& prefix);
// … and, on a WebSocket, a text of 64 bytes, which it sends back.
Talk websocket_echo(const std::string& prefix);

}  // namespace jamsock::bench
