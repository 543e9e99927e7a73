#include "daemon/api/metrics_text.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace jamsock {

namespace {

class Text {
  public:
    // Begins a family of samples.
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help,
                       type);
    }
    // Numbers are written so that they read back as the same. `value`: of the label, which has
    // only letters, digits, dots and dashes.
    template <class Number>
    void sample(Number number, std::string_view label = {}, std::string_view value = {}) {
        line("", number, label, value);
    }
    template <class Number>
    void single(std::string_view name, std::string_view type, std::string_view help,
                Number number) {
        family(name, type, help);
        sample(number);
    }
    void histogram(std::string_view name, std::string_view help, const Histogram& histogram);

    std::string take() { return std::move(text_); }

  private:
    template <class Number>
    void line(std::string_view suffix, Number number, std::string_view label = {},
              std::string_view value = {}) {
        fmt::format_to(std::back_inserter(text_), "{}{}", name_, suffix);
        if (!label.empty())
            fmt::format_to(std::back_inserter(text_), "{{{}=\"{}\"}}", label, value);
        fmt::format_to(std::back_inserter(text_), " {}\n", number);
    }

    std::string text_;
    std::string_view name_;
};

void Text::histogram(std::string_view name, std::string_view help, const Histogram& histogram) {
    family(name, "histogram", help);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
        count += histogram.counts()[i];
        line("_bucket", count, "le", fmt::format("{}", Histogram::bounds[i]));
    }
    count += histogram.counts().back();
    line("_bucket", count, "le", "+Inf");
    line("_sum", histogram.sum());
    line("_count", count);
}

void write_backends(Text& text, const DaemonMetrics& metrics) {
    text.family("jamsock_backends", "gauge", "Backends that have not ended, by their status.");
    for (int number = 0; number < static_cast<int>(Status::terminated); ++number) {
        const auto status = static_cast<Status>(number);
        const auto found = metrics.backends.find(status);
        text.sample(found == metrics.backends.end() ? 0 : found->second, "status", word(status));
    }
    text.single("jamsock_keys_held", "gauge", "Keys that a backend holds.", metrics.keys_held);
    text.family("jamsock_connects_total", "counter",
                "Connect calls, by outcome: spawned, held, or the code of the error.");
    for (const auto& [outcome, count] : metrics.connects)
        text.sample(count, "outcome", outcome);
    text.histogram("jamsock_spawn_to_ready_seconds",
                   "From a backend's first status to the one in which it answers.",
                   metrics.spawn_to_ready);
}

void write_daemon(Text& text, const DaemonMetrics& metrics) {
    text.single("jamsock_proxy_requests_total", "counter",
                "Requests that came through connection URLs.", metrics.proxy_requests);
    text.single("jamsock_proxy_bytes_total", "counter",
                "Bytes that the proxy has read, from clients and from backends.",
                metrics.proxy_bytes);
    text.histogram("jamsock_store_write_seconds", "Transactions of the daemon's database.",
                   metrics.store_writes);
    text.single("jamsock_event_streams", "gauge", "Streams of events that are open.",
                metrics.streams);
    text.family("jamsock_control_longest_pause_seconds", "gauge",
                "The longest time for which the thread that decides was kept.");
    text.sample(metrics.longest_pause, "since", "start");
    text.sample(metrics.longest_recent_pause, "since", "minute");
    text.single("jamsock_log_lines_lost_total", "counter",
                "Lines of the daemon's log that nobody read in time.", metrics.lost_log_lines);
    text.family("jamsock_build_info", "gauge", "The daemon's version.");
    text.sample(1, "version", metrics.version);
}

// As Prometheus' own client libraries name them.
void write_process(Text& text, const DaemonMetrics& metrics) {
    text.single("process_open_fds", "gauge", "Open descriptors.", metrics.open_descriptors);
    text.single("process_max_fds", "gauge", "The limit of open descriptors.",
                metrics.most_descriptors);
    text.single("process_resident_memory_bytes", "gauge", "Resident memory.",
                metrics.resident_memory);
    text.single("process_virtual_memory_bytes", "gauge", "Virtual memory.", metrics.virtual_memory);
    text.single("process_cpu_seconds_total", "counter", "Processor time, in user and system.",
                metrics.cpu_seconds);
    text.single("process_start_time_seconds", "gauge", "When it was started, since the epoch.",
                metrics.started_at);
}

}  // namespace

std::string metrics_text(const DaemonMetrics& metrics) {
    Text text;
    write_backends(text, metrics);
    write_daemon(text, metrics);
    write_process(text, metrics);
    return text.take();
}

}  // namespace jamsock
