// A throw-away instance of jamsock for one test: a private state directory, the real programs, any
// free port. At its end all backends are ended, the daemon is stopped and the directory removed;
// after a failed check the directory stays and is named.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/api_types.h"
#include "tests/support/process.h"

namespace httplib {
class Client;
struct Response;
}  // namespace httplib

namespace jamsock::test {

struct Answer {
    int status = 0;  // 0: none came
    std::string body;
};

class Home {
  public:
    // `programs`: the directory that has bin/ and libexec/; the build's own by default.
    explicit Home(std::string programs = {});
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    ~Home();

    const std::string& path() const { return path_; }

    // `name` made into a key that no other test uses at the same time: for looking up processes.
    std::string own_key(const std::string& name) const;

    RunOptions options() const;
    RunResult jamsock(const std::vector<std::string>& arguments) const;
    RunResult jamsock(const std::vector<std::string>& arguments, const RunOptions& options) const;
    Child start_jamsock(const std::vector<std::string>& arguments) const;
    // stdout without its newline; the test fails if the exit code is not 0.
    std::string output_of(const std::vector<std::string>& arguments) const;

    // The API over the daemon's socket; starts nothing.
    Answer post(const std::string& target, const std::string& body) const;
    Answer get(const std::string& target) const;
    // The same over TCP, with the API's token.
    Answer post_tcp(const std::string& target, const std::string& body) const;
    std::unique_ptr<httplib::Client> client() const;
    Result<ConnectResponse> connect(const ConnectRequest& request, bool wait = true) const;
    std::vector<KeyEntry> keys() const;
    BackendInfo backend(const BackendId& id) const;
    std::optional<VersionInfo> version() const;

    // 0 if no keeper answers.
    pid_t keeper() const;
    pid_t worker() const;

  private:
    std::string programs_;
    std::string path_;
};

// GET through the proxy, on a connection of its own.
Answer fetch(const std::string& url);

// A program of the tests' own.
std::string test_backend();

}  // namespace jamsock::test
