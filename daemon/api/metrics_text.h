// What the daemon tells a Prometheus server, in its text format 0.0.4. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/backend_state.h"
#include "daemon/histogram.h"

namespace jamsock {

// Figures of one moment. What counts begins anew with a daemon.
struct DaemonMetrics {
    std::string version;
    std::map<Status, std::size_t> backends;  // that have not ended; none: left out
    std::size_t keys_held = 0;
    std::map<std::string_view, std::uint64_t> connects;  // by their outcome
    Histogram spawn_to_ready;
    std::uint64_t proxy_requests = 0;
    std::uint64_t proxy_bytes = 0;  // read from clients and from backends
    Histogram store_writes;
    std::size_t streams = 0;          // of events, open
    double longest_pause = 0;         // of the control thread, in seconds
    double longest_recent_pause = 0;  // … in the last minute
    std::uint64_t lost_log_lines = 0;
    // Of this process.
    std::size_t open_descriptors = 0;
    std::size_t most_descriptors = 0;
    std::uint64_t resident_memory = 0;  // bytes
    std::uint64_t virtual_memory = 0;   // bytes
    double cpu_seconds = 0;
    double started_at = 0;  // seconds since the epoch
};

inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";
std::string metrics_text(const DaemonMetrics& metrics);

}  // namespace jamsock
