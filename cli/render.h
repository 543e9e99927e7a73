// What people and scripts read: texts from values. Pure; all text from outside is escaped.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/api_types.h"
#include "common/service_types.h"

namespace jamsock {

// "jamsock: sentence", the backend's last lines if there are any, "Try: command".
std::string render_error(const Error& error, bool color);

// That the daemon is of another version than this program, and what to do.
std::string render_other_version(const std::string& daemon);

// "42 s", "3 min", "5 h", "9 d": the largest unit of which there are two, or seconds.
std::string render_duration(std::int64_t seconds);

enum class KeyColumns {
    usual,
    wide,  // also the idle clock and the memory
};

// The keys as a table with a header; times are relative to `now` (wall milliseconds).
std::string render_key_table(const KeyList& list, KeyColumns columns, std::int64_t now, bool color);
// The same columns between tabs, without header, times in seconds, memory in bytes: for scripts.
std::string render_key_rows(const KeyList& list, KeyColumns columns, std::int64_t now);

// Services, likewise; an environment's name alone tells it from the default one.
std::string render_service_table(const std::vector<ServiceInfo>& services, std::int64_t now);
std::string render_service_rows(const std::vector<ServiceInfo>& services, std::int64_t now);

// A service with its environments: what each sets itself.
std::string render_service(const ServiceInfo& service, std::int64_t now);

// Which backend a connect or a look-up found: lines for people, beside the URL.
std::string render_connect_details(const ConnectResponse& response, const std::optional<Key>& key);

std::string render_backend(const BackendInfo& backend, std::int64_t now);

// The backends that a key has had, with a header; without one and between tabs: for scripts.
std::string render_history_table(const KeyHistory& history, std::int64_t now);
std::string render_history_rows(const KeyHistory& history, std::int64_t now);

// Sentences are broken between words where a terminal has so many columns.
std::string render_post_mortem(const PostMortem& told, std::int64_t now,
                               std::optional<std::size_t> columns = {});

// "knrv5 terminated: exited with code 0": one line.
std::string render_end(const BackendInfo& backend);

struct DaemonDetails {
    VersionInfo version;
    pid_t keeper = 0;
    std::string state_directory;
    std::string copy_of = {};  // of which state directory this is a copy; empty: of none
};
std::string render_daemon(const DaemonDetails& daemon, std::int64_t now);

// "2 backends go on running": how a sentence about a stopped or restarted daemon ends.
std::string render_backends_go_on(std::size_t backends);

// As much of the beginning of `text` as fits into so many columns; what is cut ends in "…".
std::string fitted(std::string_view text, std::size_t columns);

// The terminal's columns that `text` takes.
std::size_t display_width(std::string_view text);

}  // namespace jamsock
