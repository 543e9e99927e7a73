#include "cli/render.h"

#include <fmt/format.h>
#include <string.h>
#include <utf8.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>
#include <utility>
#include <vector>

#include "cli/wide_text_locale.h"
#include "common/clock.h"
#include "common/text.h"
#include "common/version.h"

namespace jamsock {

namespace {

constexpr std::int64_t minute = 60, hour = 60 * minute, day = 24 * hour;
using Row = std::vector<std::string>;
using Details = std::vector<std::pair<std::string_view, std::string>>;

std::string key_text(const std::optional<Key>& key) {
    return key ? escaped(key->str()) : "-";
}

std::int64_t seconds_since(std::int64_t time, std::int64_t now) {
    return std::max<std::int64_t>(0, (now - time) / 1000);
}

// "00:41", "1:02:03": as a clock shows it.
std::string clock_text(std::int64_t seconds) {
    const std::int64_t hours = seconds / hour;
    const std::string rest = fmt::format("{:02}:{:02}", seconds / minute % 60, seconds % minute);
    return hours > 0 ? fmt::format("{}:{}", hours, rest) : rest;
}

// "12.5 MiB"
std::string memory_text(std::uint64_t bytes) {
    constexpr double kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
    const auto size = static_cast<double>(bytes);
    if (size < mib) return fmt::format("{:.0f} KiB", size / kib);
    return size < gib ? fmt::format("{:.1f} MiB", size / mib)
                      : fmt::format("{:.1f} GiB", size / gib);
}

// How the figures of a row are written.
struct PeopleStyle {
    static std::string duration(std::int64_t seconds) { return render_duration(seconds); }
    static std::string idle(const KeyEntry& entry) {
        return fmt::format("{}/{}", clock_text(entry.idle_seconds),
                           clock_text(entry.max_idle_seconds));
    }
    static std::string memory(std::uint64_t bytes) { return memory_text(bytes); }
};
struct ScriptStyle {
    static std::string duration(std::int64_t seconds) { return std::to_string(seconds); }
    static std::string idle(const KeyEntry& entry) {
        return fmt::format("{}/{}", entry.idle_seconds, entry.max_idle_seconds);
    }
    static std::string memory(std::uint64_t bytes) { return std::to_string(bytes); }
};

template <class Style>
Row key_row(const KeyEntry& entry, KeyColumns columns, std::int64_t now) {
    const bool is_wide = columns == KeyColumns::wide;
    Row row{key_text(entry.key),
            entry.service.str(),
            entry.backend_id.str(),
            std::string(word(entry.status)),
            std::to_string(entry.connections),
            is_wide ? Style::idle(entry) : Style::duration(entry.idle_seconds),
            Style::duration(seconds_since(entry.created_at, now))};
    if (is_wide) row.push_back(entry.memory_used ? Style::memory(*entry.memory_used) : "-");
    return row;
}

std::string padded(const std::string& text, std::size_t width) {
    const std::size_t used = display_width(text);
    return text + std::string(width > used ? width - used : 0, ' ');
}

constexpr std::size_t status_column = 3;  // of the table of keys

std::string_view status_color(std::string_view text) {
    const auto status = status_from_word(text);
    if (!status) return "";
    if (*status == Status::ready) return "\x1b[32m";
    return is_live(*status) ? "\x1b[33m" : "\x1b[31m";
}

// The first row is the header. In color, the words of `colored` are.
std::string table(const std::vector<Row>& rows, std::optional<std::size_t> colored = {}) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], display_width(row[i]));
    }
    std::string text;
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool is_last = i + 1 == row.size();
            const std::string cell = is_last ? row[i] : padded(row[i], widths[i]) + "  ";
            const std::string_view color = i == colored ? status_color(row[i]) : "";
            text += color.empty() ? cell : fmt::format("{}{}\x1b[0m", color, cell);
        }
        text += '\n';
    }
    return text;
}

std::string between_tabs(const Row& row) {
    return fmt::format("{}\n", fmt::join(row, "\t"));
}

// Lines of `label` and `text`, the texts below one another.
std::string aligned(const Details& details, std::string_view indent) {
    std::size_t width = 0;
    for (const auto& [label, text] : details)
        width = std::max(width, label.size());
    std::string lines;
    for (const auto& [label, text] : details) {
        fmt::format_to(std::back_inserter(lines), "{}{:<{}}  {}\n", indent, label, width, text);
    }
    return lines;
}

std::string time_ago(std::int64_t time, std::int64_t now) {
    return render_duration(seconds_since(time, now)) + " ago";
}

// `time_text` says how the time of the last start is written.
template <class TimeText>
Row service_row(const ServiceInfo& service, TimeText time_text) {
    std::vector<std::string_view> environments;
    std::optional<std::int64_t> last;
    for (const EnvironmentInfo& environment : service.environments) {
        last = std::max(last, environment.last_spawned_at);
        if (environment.name != ServiceName::default_environment)
            environments.push_back(environment.name);
    }
    const auto& command = service.environments.front().definition.command;
    return {escaped(service.name), last ? time_text(*last) : "-",
            environments.empty() ? "-" : escaped(fmt::format("{}", fmt::join(environments, ","))),
            command ? escaped(command->cwd) : "-",
            command ? escaped(shell_line(command->argv)) : "-"};
}

std::string_view label_of(ReadySign::Kind kind) {
    switch (kind) {
        case ReadySign::Kind::log:
            return "ready log";
        case ReadySign::Kind::path:
            return "ready path";
        case ReadySign::Kind::exec:
            break;
    }
    return "ready exec";
}

void add_readiness(Details& details, const ReadinessRule& rule) {
    if (rule.sign) {
        details.emplace_back(label_of(rule.sign->kind()), escaped(rule.sign->text()));
    }
    if (rule.listen_fd) details.emplace_back("listen fd", *rule.listen_fd ? "yes" : "no");
    if (rule.port_owner) details.emplace_back("port owner", word(*rule.port_owner));
}

void add_definition(Details& details, const ServiceDefinition& definition) {
    const auto& [command, base_environment, env, limits, readiness, allow_origins] = definition;
    if (command) {
        details.emplace_back("command", escaped(shell_line(command->argv)));
        details.emplace_back("directory", escaped(command->cwd));
    }
    const auto path = base_environment.find("PATH");
    if (path != base_environment.end()) details.emplace_back("PATH", escaped(path->second));
    for (const auto& [name, value] : env)
        details.emplace_back("variable", escaped(name + "=" + value));
    const auto add_limit = [&](std::string_view label, const std::optional<std::int64_t>& limit) {
        if (limit) details.emplace_back(label, fmt::format("{} s", *limit));
    };
    add_limit("idle limit", limits.max_idle);
    add_limit("lifetime", limits.lifetime);
    add_limit("grace", limits.grace);
    add_limit("startup limit", limits.startup);
    add_readiness(details, readiness);
    if (allow_origins) details.emplace_back("allow origins", word(*allow_origins));
}

// "soft, swept: idle"
std::string reason_text(const StatusChange& end) {
    return fmt::format("{}{}{}", end.kind ? fmt::format("{}, ", word(*end.kind)) : "",
                       word(*end.reason), end.cause ? fmt::format(": {}", word(*end.cause)) : "");
}

std::string describe_end(const StatusChange& end) {
    std::string text = end.exit ? describe(*end.exit) : "ended, and nobody saw how";
    if (end.reason) {
        fmt::format_to(std::back_inserter(text), " ({})", reason_text(end));
    } else if (end.cause) {
        fmt::format_to(std::back_inserter(text), " ({})", word(*end.cause));
    }
    return text;
}

// "0.4 s"; from ten seconds on in whole ones.
std::string short_duration(std::int64_t milliseconds) {
    constexpr std::int64_t exact = 10'000;
    if (milliseconds >= exact) return render_duration(milliseconds / 1000);
    return fmt::format("{:.1f} s", static_cast<double>(milliseconds) / 1000);
}

// `text` in lines that end at `columns`, the first of which begins at `begin`, as do the others.
std::string wrapped(const std::string& text, std::size_t begin,
                    std::optional<std::size_t> columns) {
    if (!columns) return text;
    std::istringstream rest(text);
    std::string lines;
    std::size_t column = begin;
    for (std::string word; std::getline(rest, word, ' ');) {
        const std::size_t width = display_width(word);
        const bool is_first = lines.empty();
        const bool fits = column + 1 + width <= *columns;
        if (!is_first) lines += fits ? " " : "\n" + std::string(begin, ' ');
        lines += word;
        column = (fits && !is_first ? column + 1 : begin) + width;
    }
    return lines;
}

std::string in_seconds(std::int64_t milliseconds) {
    return fmt::format("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
}

// "exited with code 3", "killed by TERM (external)": short, for a column.
std::string end_of(const HistoryEntry& entry) {
    const StatusChange& end = entry.status;
    if (end.status != Status::terminated) return "-";
    std::string text = "unseen";
    if (end.exit && end.exit->code) text = describe(*end.exit);
    if (end.exit && end.exit->signal)
        text = fmt::format("killed by {}", signal_name(*end.exit->signal));
    const auto why = end.cause ? word(*end.cause) : end.reason ? word(*end.reason) : "";
    return why.empty() ? text : fmt::format("{} ({})", text, why);
}

// `age` and `duration` say how the times are written.
template <class Age, class Duration>
Row history_row(const HistoryEntry& entry, std::int64_t now, Age age, Duration duration) {
    const auto ready = entry.ready_after();
    return {entry.id.str(),
            std::string(word(entry.status.status)),
            age(seconds_since(entry.created_at, now)),
            ready ? duration(*ready) : "-",
            duration(entry.lived(now)),
            end_of(entry)};
}

std::string status_text(const StatusChange& latest, std::int64_t now) {
    return fmt::format("{} since {} ({})", word(latest.status), iso_time(latest.time),
                       time_ago(latest.time, now));
}

}  // namespace

std::size_t display_width(std::string_view text) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::ranges::all_of(text, is_ascii)) return text.size();
    const WideTextLocale locale;
    std::size_t width = 0;
    for (auto at = text.begin(); at != text.end();) {
        const int columns = ::wcwidth(static_cast<wchar_t>(utf8::unchecked::next(at)));
        width += columns < 0 ? 1 : static_cast<std::size_t>(columns);
    }
    return width;
}

std::string fitted(std::string_view text, std::size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    auto end = text.begin();
    for (auto next = end; next != text.end(); end = next) {
        utf8::unchecked::next(next);
        if (display_width({text.begin(), next}) + 1 > columns) break;
    }
    return std::string(text.begin(), end) + "…";
}

std::string render_error(const Error& error, bool color) {
    std::string text = fmt::format("{}jamsock:{} {}\n", color ? "\x1b[1;31m" : "",
                                   color ? "\x1b[0m" : "", escaped(error.message));
    if (!error.log_tail.empty()) text += "Last lines of its output:\n";
    for (const std::string& line : error.log_tail) {
        fmt::format_to(std::back_inserter(text), "    {}\n", escaped(line));
    }
    if (!error.message.ends_with(error.hint)) {
        fmt::format_to(std::back_inserter(text), "Try: {}\n", escaped(error.hint));
    }
    return text;
}

std::string render_other_version(const std::string& daemon) {
    const bool is_newer = ::strverscmp(daemon.c_str(), std::string(version()).c_str()) > 0;
    return fmt::format("jamsock: The daemon is of version {}, this command of {}.\nTry: {}\n",
                       escaped(daemon), version(),
                       is_newer ? "type -a jamsock" : "jamsock daemon restart");
}

std::string render_duration(std::int64_t seconds) {
    if (seconds < 2 * minute) return fmt::format("{} s", seconds);
    if (seconds < 2 * hour) return fmt::format("{} min", seconds / minute);
    if (seconds < 2 * day) return fmt::format("{} h", seconds / hour);
    return fmt::format("{} d", seconds / day);
}

std::string render_key_table(const KeyList& list, KeyColumns columns, std::int64_t now,
                             bool color) {
    std::vector<Row> rows{{"KEY", "SERVICE", "BACKEND", "STATUS", "CONNECTIONS", "IDLE", "AGE"}};
    if (columns == KeyColumns::wide) rows.front().emplace_back("MEMORY");
    for (const KeyEntry& entry : list.keys)
        rows.push_back(key_row<PeopleStyle>(entry, columns, now));
    return table(rows, color ? std::optional(status_column) : std::nullopt);
}

std::string render_key_rows(const KeyList& list, KeyColumns columns, std::int64_t now) {
    std::string text;
    for (const KeyEntry& entry : list.keys)
        text += between_tabs(key_row<ScriptStyle>(entry, columns, now));
    return text;
}

std::string render_service_table(const std::vector<ServiceInfo>& services, std::int64_t now) {
    std::vector<Row> rows{{"SERVICE", "LAST START", "ENVIRONMENTS", "DIRECTORY", "COMMAND"}};
    for (const ServiceInfo& service : services) {
        rows.push_back(
            service_row(service, [now](std::int64_t time) { return time_ago(time, now); }));
    }
    return table(rows);
}

std::string render_service_rows(const std::vector<ServiceInfo>& services, std::int64_t now) {
    std::string text;
    for (const ServiceInfo& service : services) {
        text += between_tabs(service_row(service, [now](std::int64_t time) {
            return std::to_string(seconds_since(time, now));
        }));
    }
    return text;
}

std::string render_service(const ServiceInfo& service, std::int64_t now) {
    std::string text;
    for (const EnvironmentInfo& environment : service.environments) {
        const auto name = ServiceName::parse(service.account, service.name, environment.name);
        Details details{{"service", name ? name->str() : escaped(environment.name)}};
        add_definition(details, environment.definition);
        details.emplace_back("created", iso_time(environment.created_at));
        details.emplace_back("last start", environment.last_spawned_at
                                               ? time_ago(*environment.last_spawned_at, now)
                                               : "never");
        text += (text.empty() ? "" : "\n") + aligned(details, "");
    }
    return text;
}

std::string render_connect_details(const ConnectResponse& response, const std::optional<Key>& key) {
    return aligned({{"backend", response.backend_id.str()},
                    {"spawned", response.spawned ? "yes" : "no, it was running"},
                    {"status", std::string(word(response.status))},
                    {"key", key_text(key)}},
                   "  ");
}

std::string render_backend(const BackendInfo& backend, std::int64_t now) {
    Details details{{"backend", backend.id.str()},
                    {"key", key_text(backend.key)},
                    {"service", backend.service.str()}};
    const StatusChange* latest = backend.statuses.empty() ? nullptr : &backend.statuses.back();
    if (latest) details.emplace_back("status", status_text(*latest, now));
    if (latest && latest->status == Status::terminated) {
        details.emplace_back("end", describe_end(*latest));
    }
    details.emplace_back("created", iso_time(backend.created_at));
    if (backend.pid) details.emplace_back("pid", std::to_string(*backend.pid));
    if (backend.port != 0) details.emplace_back("port", std::to_string(backend.port));
    details.emplace_back("command", escaped(shell_line(backend.command.argv)));
    details.emplace_back("directory", escaped(backend.command.cwd));
    details.emplace_back("fencing token", std::to_string(backend.fencing_token));
    if (!latest || latest->status != Status::terminated) {
        details.emplace_back("connections", std::to_string(backend.connections));
        details.emplace_back("idle", fmt::format("{} of {}", render_duration(backend.idle_seconds),
                                                 render_duration(backend.max_idle_seconds)));
        if (backend.expires_at) details.emplace_back("expires", iso_time(*backend.expires_at));
    }
    if (backend.note) details.emplace_back("note", escaped(*backend.note));
    if (backend.dropped_log_bytes > 0) {
        details.emplace_back("output lost", fmt::format("{} bytes", backend.dropped_log_bytes));
    }
    return aligned(details, "");
}

std::string render_history_table(const KeyHistory& history, std::int64_t now) {
    std::vector<Row> rows{{"BACKEND", "STATUS", "STARTED", "READY", "LIVED", "END"}};
    const auto age = [](std::int64_t seconds) { return render_duration(seconds) + " ago"; };
    for (const HistoryEntry& entry : history.backends)
        rows.push_back(history_row(entry, now, age, short_duration));
    return table(rows);
}

std::string render_history_rows(const KeyHistory& history, std::int64_t now) {
    std::string text;
    const auto age = [](std::int64_t seconds) { return std::to_string(seconds); };
    for (const HistoryEntry& entry : history.backends)
        text += between_tabs(history_row(entry, now, age, in_seconds));
    return text;
}

std::string render_post_mortem(const PostMortem& told, std::int64_t now,
                               std::optional<std::size_t> columns) {
    constexpr std::size_t text_column = std::string_view("  diagnosis  ").size();
    const BackendInfo& backend = told.backend;
    const StatusChange& last = backend.statuses.back();
    Details details{{"backend", backend.id.str()},
                    {"service", backend.service.str()},
                    {"status", status_text(last, now)}};
    if (last.reason) details.emplace_back("reason", reason_text(last));
    details.emplace_back("lived", short_duration(told.lived));
    details.emplace_back("ready",
                         told.ready_after ? "after " + short_duration(*told.ready_after) : "never");
    if (told.diagnosis) {
        details.emplace_back("diagnosis", wrapped(escaped(*told.diagnosis), text_column, columns));
    }
    details.emplace_back("command", escaped(shell_line(backend.command.argv)));
    details.emplace_back("directory", escaped(backend.command.cwd));
    std::string text =
        fmt::format("{}\n{}", wrapped(escaped(told.verdict), 0, columns), aligned(details, "  "));
    if (!told.log_tail.empty()) text += "Last lines of its output:\n";
    for (const std::string& line : told.log_tail)
        fmt::format_to(std::back_inserter(text), "    {}\n", escaped(line));
    fmt::format_to(std::back_inserter(text), "Try: {}\n", escaped(told.next_step));
    return text;
}

std::string render_end(const BackendInfo& backend) {
    const bool ended =
        !backend.statuses.empty() && backend.statuses.back().status == Status::terminated;
    if (!ended) return fmt::format("{} terminated\n", backend.id.str());
    const auto& exit = backend.statuses.back().exit;
    return fmt::format("{} terminated: {}\n", backend.id.str(),
                       exit ? describe(*exit) : "nobody saw how");
}

std::string render_daemon(const DaemonDetails& daemon, std::int64_t now) {
    const auto& [version, keeper, directory, original] = daemon;
    Details details{{"version", escaped(version.version)},
                    {"pid", fmt::format("{} (keeper), {} (worker)", keeper, version.pid)},
                    {"running for", render_duration(seconds_since(version.started_at, now))},
                    {"backends", std::to_string(version.backends)},
                    {"proxy port", std::to_string(version.proxy_port)},
                    {"API port", std::to_string(version.api_port)}};
    if (version.dev) details.emplace_back("dev mode", "every user may start backends");
    details.emplace_back("state directory", escaped(directory));
    if (!original.empty()) details.emplace_back("a copy of", escaped(original));
    return aligned(details, "");
}

std::string render_backends_go_on(std::size_t backends) {
    if (backends == 0) return "no backend was running";
    return backends == 1 ? "1 backend goes on running"
                         : fmt::format("{} backends go on running", backends);
}

}  // namespace jamsock
