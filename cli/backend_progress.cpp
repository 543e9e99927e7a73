#include "cli/backend_progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/backend_output.h"
#include "cli/render.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;

constexpr auto first_look = 500ms;
constexpr auto look_limit = 200ms;  // for what a look asks the daemon
constexpr std::size_t usual_columns = 80;
constexpr const char* begin_of_line = "\r\x1b[2K";

std::string last_line(const BackendId& id) {
    const auto lines = last_lines(id, 1);
    return lines.empty() ? "" : escaped(lines.front());
}

}  // namespace

BackendProgress::~BackendProgress() {
    if (drawn_) terminal_.err << begin_of_line << std::flush;
}

void BackendProgress::show_while_waiting(DaemonClient& client) {
    if (is_shown()) client.while_waiting([this] { look(); });
}

std::optional<DaemonClient>& BackendProgress::client() {
    if (std::exchange(has_looked_for_client_, true)) return client_;
    const auto directory = open_existing_state_directory();
    if (!directory || !*directory) return client_;
    auto opened =
        DaemonClient::open(directory->get(), timeouts::client_answer, deadline_in(look_limit));
    if (opened) client_ = std::move(*opened);
    return client_;
}

std::optional<KeyEntry> BackendProgress::holder() {
    if (!key_ || !client()) return std::nullopt;
    const KeyQuery of_key{.service = service_.service(), .prefix = key_->str()};
    const auto list = client_->keys(deadline_in(look_limit), of_key);
    if (!list) return std::nullopt;
    const auto found = std::ranges::find(list->value.keys, key_, &KeyEntry::key);
    return found == list->value.keys.end() ? std::nullopt : std::optional(*found);
}

std::optional<Status> BackendProgress::status_of(const BackendId& id) {
    if (!client()) return std::nullopt;
    const auto info = client_->backend(id, deadline_in(look_limit));
    if (!info || info->value.statuses.empty()) return std::nullopt;
    return info->value.statuses.back().status;
}

std::string BackendProgress::state() {
    const auto shown = [](const BackendId& id, Status status) {
        return fmt::format("{} {}  {}", id.str(), word(status), last_line(id));
    };
    if (id_) {
        const auto status = status_of(*id_);
        return status ? shown(*id_, *status) : id_->str();
    }
    const auto entry = holder();
    return entry ? shown(entry->backend_id, entry->status) : "starting";
}

void BackendProgress::look() {
    const auto waited = std::chrono::steady_clock::now() - begun_;
    if (!is_shown() || waited < first_look) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited).count();
    const std::string line = fmt::format("  {} s  {}", seconds, state());
    const std::size_t columns = terminal_.err_columns().value_or(usual_columns);
    terminal_.err << begin_of_line << fitted(line, columns - 1) << std::flush;
    drawn_ = true;
}

}  // namespace jamsock
