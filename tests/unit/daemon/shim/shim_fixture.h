// The real jamsock-shim, started as the worker does it: a channel, a specification in memory, and
// the directories at their fixed numbers.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "daemon/shim/message.h"
#include "daemon/shim/process_table.h"
#include "daemon/shim/record.h"
#include "daemon/shim/spec.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_directory.h"

namespace jamsock::test {

// One end of a channel.
class Channel {
  public:
    explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

    // The next message; nothing at the end of file, or if none comes in time.
    std::optional<Message> receive();
    // Skips messages until one of that verb; the test fails if none comes.
    Message expect(std::string_view verb);
    // Whether the other end is closed, skipping what it sent before.
    bool is_closed();
    void send(const Message& message);
    void send_bytes(const std::string& bytes);
    void hang_up() { socket_.reset(); }

  private:
    UniqueFd socket_;
};

// What the backends of one test share: locks/ and a directory for each.
class ShimHome {
  public:
    ShimHome();
    std::string path(const std::string& name) const { return directory_.path(name); }
    std::string lock_file() const { return path("locks/lock"); }
    std::string make_backend_directory(const std::string& id) const;

    // `sh -c script`, with this directory's path as $1.
    ShimSpec spec(const std::string& script, const std::string& id = "knrv5") const;

  private:
    TemporaryDirectory directory_;
};

// A shim and all below it are ended with this object.
class RunningShim {
  public:
    // `listener`, if the specification has one, is copied.
    RunningShim(const ShimHome& home, const ShimSpec& spec, int listener = -1);
    // A shim whose backend runs already.
    static RunningShim started(const ShimHome& home, const ShimSpec& spec, int listener = -1);
    RunningShim(const RunningShim&) = delete;
    RunningShim(RunningShim&& other) noexcept;
    ~RunningShim();

    Channel channel;

    pid_t pid() const { return pid_; }
    pid_t main_pid() const { return main_pid_; }
    Message go();  // `started`
    Channel connect() const;
    std::optional<ShimRecord> record() const;
    std::string file(const std::string& name) const { return directory_ + "/" + name; }
    void kill();
    int wait();  // the exit code; -1 if a signal ended it

  private:
    void spawn(const ShimHome& home, const ShimSpec& spec, int their_end, int listener);

    std::string directory_;
    pid_t pid_ = 0;
    pid_t main_pid_ = 0;
};

Message terminate(const char* kind, const char* reason, std::int64_t grace_ms = 10'000);

bool is_alive(pid_t pid);  // and no zombie

}  // namespace jamsock::test
