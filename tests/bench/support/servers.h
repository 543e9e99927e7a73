// The floor and the peers of a connect: servers in a directory of their own, each on a Unix socket,
// ended when their object goes. A peer that is not installed has neither socket nor port.
#pragma once

#include <signal.h>

#include <optional>
#include <string>

#include "tests/bench/support/closed_loop.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace jamsock::bench {

// The path of a program: in PATH, or where Debian has PostgreSQL's.
std::optional<std::string> find_program(const std::string& name);

// A program of the benchmarks' own, or of the build's bin directory.
std::string own_program(const std::string& name);
std::string jamsock_program();

// Of 127.0.0.1; nobody had it a moment ago.
std::uint16_t free_port();

class RunningServer {
  public:
    RunningServer() = default;
    RunningServer(const RunningServer&) = delete;
    RunningServer& operator=(const RunningServer&) = delete;
    ~RunningServer();

    const Server& server() const { return server_; }

  protected:
    // Waits until it accepts connections; `server` gets its process.
    void start(Server server, const std::vector<std::string>& argv);
    const test::TemporaryDirectory& directory() const { return directory_; }

    Server server_;
    int end_signal_ = SIGTERM;

  private:
    test::TemporaryDirectory directory_;
    std::optional<test::Child> child_;
};

class EchoServer : public RunningServer {
  public:
    explicit EchoServer(std::size_t body_length);
};

class RedisServer : public RunningServer {
  public:
    RedisServer();
};

// Takes a user without rights, since it refuses to run as root.
class PostgresServer : public RunningServer {
  public:
    PostgresServer();
};

// The calls that give a key's holder, and set it if there is none …
Talk jamsock_connect(const std::string& key);
Talk redis_connect(const std::string& key);
Talk postgres_connect(const std::string& key);
// … and those that set nothing.
Talk jamsock_lookup(const std::string& key);
Talk redis_lookup(const std::string& key);
Talk postgres_lookup(const std::string& key);

// A POST to jamsock's API.
std::string post_text(const std::string& target, const std::string& json);

inline constexpr const char* connect_target = "/v2/service/local/default/default/connect";

}  // namespace jamsock::bench
