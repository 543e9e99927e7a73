// What the tests of refusals share: how a refusal looks, and that it changed nothing.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/home.h"
#include "tests/support/process.h"

namespace jamsock::test {

using Words = std::vector<std::string>;

// A refusal by a program: the exit code, nothing on stdout, on stderr one sentence that has these
// words, and below it what to do, if `hint` isn't empty.
void check_refused(const RunResult& result, int exit_code, const Words& words,
                   const std::string& hint = {});

// A refusal by the API: the code with its status, a sentence that has these words and nothing of
// any library's, and an id that stands in the daemon's log. Gives the error.
Error check_refused(const Home& home, const Answer& answer, ErrorCode code, const Words& words);

// The program jamsockd itself, with these arguments.
RunResult run_daemon(const RunOptions& options, const std::vector<std::string>& arguments = {});

// A directory's files with their bytes, and what else it has, as it is now.
std::map<std::string, std::string> contents_of(const std::string& directory);

// An instance with a daemon and one backend, of a key that no refusal has to do with. `check`: this
// backend runs on as the only one, under the same daemon, and nobody wrote into the database.
class Bystander {
  public:
    Bystander();

    Home home;
    const std::string key;
    std::string url;

    void check() const;
    // The same, but that something was begun, and has ended and been recorded.
    void check_alone() const;
    std::string file(const std::string& name) const { return home.path() + "/" + name; }

  private:
    BackendId id_;
    pid_t pid_ = 0;
    pid_t worker_ = 0;
    std::string recorded_;
};

// How many rows each table of the instance's database has, and the highest fencing token.
std::string recorded_in(const std::string& database);

}  // namespace jamsock::test
