#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace jamsock::log {

void start(const char* program) {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("jamsock"));
    spdlog::set_pattern(fmt::format("%Y-%m-%dT%H:%M:%S.%eZ {}[%P] %l: %v", program),
                        spdlog::pattern_time_type::utc);
    spdlog::flush_on(spdlog::level::info);
}

}  // namespace jamsock::log
