#include "cli/start_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cli/backend_output.h"
#include "cli/render.h"
#include "common/runtime_paths.h"
#include "common/text.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;

constexpr auto first_look = 500ms;
constexpr auto look_limit = 200ms;  // for what a look asks the daemon
constexpr const char* begin_of_line = "\r\x1b[2K";

std::size_t columns() {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

std::string last_line(const BackendId& id) {
    const auto lines = last_lines(id, 1);
    return lines.empty() ? "" : escaped(lines.front());
}

}  // namespace

StartProgress::StartProgress(Terminal& terminal, const ServiceName& service,
                             const std::optional<Key>& key)
    : terminal_(terminal), service_(service), key_(key) {
}

StartProgress::~StartProgress() {
    if (drawn_) terminal_.err << begin_of_line << std::flush;
}

std::optional<DaemonClient>& StartProgress::client() {
    if (client_ || directory_) return client_;
    const auto path = state_directory_path();
    auto directory = path ? open_existing_state_directory(*path) : Result<UniqueFd>(UniqueFd());
    if (!directory || !*directory) return client_;
    directory_ = std::move(*directory);
    auto opened = DaemonClient::open(directory_.get());
    if (opened) client_ = std::move(*opened);
    return client_;
}

std::string StartProgress::state() {
    if (!key_ || !client()) return "starting";
    const KeyQuery of_key{.service = service_.service(), .prefix = key_->str()};
    const auto list = client_->keys(deadline_in(look_limit), of_key);
    if (!list) return "starting";
    const auto holder = std::ranges::find(list->value.keys, key_, &KeyEntry::key);
    if (holder == list->value.keys.end()) return "starting";
    return fmt::format("{} {}  {}", holder->backend_id.str(), word(holder->status),
                       last_line(holder->backend_id));
}

void StartProgress::look() {
    const auto waited = std::chrono::steady_clock::now() - begun_;
    if (!terminal_.can_redraw || waited < first_look) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited).count();
    const std::string line = fmt::format("  {} s  {}", seconds, state());
    terminal_.err << begin_of_line << fitted(line, columns() - 1) << std::flush;
    drawn_ = true;
}

}  // namespace jamsock
