#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <mutex>

#include "daemon/log_queue.h"

namespace jamsock::log {

namespace {

// On standard error.
class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    std::uint64_t lost_lines() const { return queue_.lost_lines(); }

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        queue_.add({line.data(), line.size()});
    }
    void flush_() override {}

    LogQueue queue_{STDERR_FILENO};
};

std::weak_ptr<const QueueSink> sink_in_use;

}  // namespace

void start(const char* program) {
    const auto sink = std::make_shared<QueueSink>();
    sink_in_use = sink;
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("jamsock", sink));
    spdlog::set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%eZ {}[%P] %l: %v", program),
                        spdlog::pattern_time_type::utc);
}

std::uint64_t lost_lines() {
    const auto sink = sink_in_use.lock();
    return sink ? sink->lost_lines() : 0;
}

}  // namespace jamsock::log
