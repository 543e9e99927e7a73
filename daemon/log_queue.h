// Lines of a log on their way to a descriptor whose reader may stop reading: a thread of its own
// writes them, so that nobody who logs ever waits. What doesn't fit into the queue is lost, and how
// much that was is said when there is room again. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "daemon/shim/log_file.h"

namespace jamsock {

class LogQueue {
  public:
    static constexpr std::size_t most_bytes = 1024 * 1024;
    static constexpr std::size_t longest_line = 2048;  // bytes

    // `fd` stays open for as long as the process runs: the thread is left behind if it blocks.
    // `file` is behind it.
    explicit LogQueue(int fd, LogFile file = LogFile(-1, -1));
    LogQueue(const LogQueue&) = delete;
    LogQueue& operator=(const LogQueue&) = delete;
    // Waits for what is queued, but not for long.
    ~LogQueue();

    // `line` has its end. What goes beyond longest_line is left out.
    void add(std::string_view line);
    std::uint64_t lost_lines() const;

  private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace jamsock
