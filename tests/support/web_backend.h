// A service of node (web_backend.js) behind a jamsock of its own, with one key connected; and the
// clients of it: node's, curl, and sockets that say exact bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

namespace jamsock::test {

// A path in tests/support.
std::string support_file(const std::string& name);

class WebBackend {
  public:
    // `environment`: "NAME=value" for the backend. It is ready, unless it must not be waited for.
    explicit WebBackend(const std::vector<std::string>& environment = {}, bool wait = true);

    Home home;

    const std::string& url() const { return connection_.url; }
    std::string url(const std::string& path) const { return connection_.url + path; }
    // Past the proxy.
    std::string direct(const std::string& path) const;
    // What stands in the request line for `path`.
    std::string target(const std::string& path) const;
    // A connection to the proxy, on which nothing was said yet.
    RawSocket connect() const;
    // … on which a request of HTTP/1.1 for `path` was; `fields` are whole lines.
    RawSocket ask(const std::string& path, const std::string& fields = {}) const;

    KeyEntry entry() const;
    void tell(const std::string& name) const;
    nlohmann::json seen(const std::string& name) const;
    bool has_seen(const std::string& name, const nlohmann::json& value) const;

    // Starts a scenario of "http_client.js" or "websocket_client.js".
    Child start(const std::string& client, const std::string& scenario,
                const std::string& url) const;
    // Fails the test if the scenario fails.
    void check(const std::string& client, const std::string& scenario) const;
    static void check_end(Child scenario);

  private:
    ConnectResponse connection_;
};

// Also what curl itself writes to stdout by its options. The test fails if curl does.
std::string curl(const std::vector<std::string>& arguments);

}  // namespace jamsock::test
