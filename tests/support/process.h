// Runs real programs for tests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock::test {

struct RunOptions {
    std::map<std::string, std::string> environment;  // the whole of it
    std::string directory = "/";
    std::chrono::seconds limit{60};  // then it is killed
};

struct RunResult {
    int exit_code = -1;  // 128 + n if signal n ended it
    std::string out;
    std::string err;
};

// A program that runs; killed at the end of its life if it still does.
class Child {
  public:
    static Child start(const std::vector<std::string>& argv, const RunOptions& options);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    // Collects output until the end; what nobody reads is thrown away at the limit.
    RunResult wait();

  private:
    Child() = default;
    pid_t pid_ = 0;
    UniqueFd out_, err_, exited_;
    std::chrono::steady_clock::time_point deadline_;
};

RunResult run(const std::vector<std::string>& argv, const RunOptions& options);

// Exists and is no zombie, or one whose other threads still end: they have its sockets.
bool is_running(pid_t pid);

}  // namespace jamsock::test
