#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <mutex>

#include "daemon/log_queue.h"
#include "daemon/refusal_tally.h"

namespace jamsock::log {

namespace {

// On standard error.
class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit QueueSink(int log_directory)
        : queue_(STDERR_FILENO, LogFile(log_directory, STDERR_FILENO)) {}

    std::uint64_t lost_lines() const { return queue_.lost_lines(); }

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        queue_.add({line.data(), line.size()});
    }
    void flush_() override {}

    LogQueue queue_;
};

std::weak_ptr<const QueueSink> sink_in_use;

struct Refusals {
    std::mutex mutex;
    RefusalTally tally;
} refusals;

}  // namespace

void start(const char* program, int log_directory) {
    const auto sink = std::make_shared<QueueSink>(log_directory);
    sink_in_use = sink;
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("jamsock", sink));
    spdlog::set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%eZ {}[%P] %l: %v", program),
                        spdlog::pattern_time_type::utc);
}

std::uint64_t lost_lines() {
    const auto sink = sink_in_use.lock();
    return sink ? sink->lost_lines() : 0;
}

bool takes_refusal(const std::string& kind, std::size_t most_lines) {
    const std::lock_guard lock(refusals.mutex);
    return refusals.tally.takes_line(kind, most_lines);
}

void tell_refusals(bool at_the_end) {
    const std::lock_guard lock(refusals.mutex);
    const auto sums = at_the_end ? refusals.tally.take_all_sums() : refusals.tally.take_sums();
    for (const auto& [kind, count] : sums)
        info("{} more requests failed: {}", count, kind);
}

}  // namespace jamsock::log
