// A command that runs in the place of this one: `exec`'s, and a browser. With daemon_launcher the
// command line's home of spawn, kill and wait.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/deadline.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace jamsock {

inline constexpr int signal_exit_code = 128;  // and the number of the signal that ended it

// The signals that somebody sends to this process to end it or to tell it something. While one of
// these lives they wait here and do nothing by themselves.
class CaughtSignals {
  public:
    CaughtSignals();
    CaughtSignals(const CaughtSignals&) = delete;
    CaughtSignals& operator=(const CaughtSignals&) = delete;
    ~CaughtSignals();

    struct Signal {
        int number = 0;
        bool by_terminal = false;  // the whole group in front of it got it, too
    };
    // The next one that has come.
    std::optional<Signal> next();
    // Takes all that have come: whether one of them tells a program to end.
    bool ask_for_end();

    int fd() const { return fd_.get(); }  // can be read when there is one
    const sigset_t& mask_before() const { return mask_before_; }

  private:
    sigset_t mask_before_;
    UniqueFd fd_;
};

// Has the standard streams and the process group of this process, the signal mask and dispositions
// that this one got from its caller, and of descriptors what that left open for it. Not ended with
// this object.
class ChildProcess {
  public:
    // Runs the file `program`; `words` are its arguments with its name, `environment` all that it
    // gets ("NAME=value"). ProgramNotRunnable if the kernel refuses the file.
    static Result<ChildProcess> start(const std::string& program, std::vector<std::string> words,
                                      std::vector<std::string> environment,
                                      const CaughtSignals& caught);

    int fd() const { return pidfd_.get(); }  // can be read once it has ended

    // When to look for its end, if the kernel had no descriptor for `fd`.
    Deadline next_look() const;

    // Sends it what has come, but for what it got by itself. The last one that tells a program to
    // end, if there was one.
    std::optional<int> pass_on(CaughtSignals& signals) const;

    // Its exit code, 128 + n if signal n ended it; nothing while it runs.
    std::optional<int> exit_code() const;

  private:
    ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

    pid_t pid_;
    UniqueFd pidfd_;
};

}  // namespace jamsock
