// Jamsocket's own clients, from the npm registry: the packages, and the `jamsocket` CLI of them
// pointed at a Home's daemon by `jamsock env`. It runs with a HOME of its own and without network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/home.h"
#include "tests/support/temporary_directory.h"

namespace jamsock::test {

// A directory with the packages `jamsocket` and `@jamsocket/types` below it, installed by npm when
// first asked for and removed at the program's end. The test fails if they can't be installed.
const std::string& npm_packages();

// The variables that `eval "$(jamsock env)"` sets. Starts the daemon.
std::map<std::string, std::string> jamsocket_variables(const Home& home);

class NpmCli {
  public:
    static constexpr const char* version = "0.10.7";

    explicit NpmCli(const Home& home);

    RunResult ask(const std::vector<std::string>& arguments) const;
    // The same, without what differs from run to run: API for the API's origin, URL for a
    // connection URL, TOKEN, TIME and AGE, in errors ID for the request; and without the line
    // that names the API, which always stands first in stderr.
    RunResult run(const std::vector<std::string>& arguments) const;
    RunResult login() const;
    // … its output goes to a file of the directory, as it comes.
    Child start(const std::vector<std::string>& arguments, const std::string& file) const;

    void set(const std::string& variable, const std::string& value);
    const std::string& token() const { return variables_.at("JAMSOCKET_TOKEN"); }
    std::string path(const std::string& name) const { return directory_.path(name); }

  private:
    RunOptions options() const;
    std::string told(const std::string& output) const;

    TemporaryDirectory directory_;
    std::map<std::string, std::string> variables_;
};

// In the output of `connect`.
BackendId backend_in(const RunResult& connected);
std::string url_in(const RunResult& connected);

}  // namespace jamsock::test
