// One line on a terminal while a command waits for a backend: its status, the time, its last line
// of output. Gone without a trace at the end. Knows the backend by its id, or by the key that it is
// about to hold; of a new one without, only the time shows.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "cli/daemon_client.h"
#include "cli/terminal.h"

namespace jamsock {

class BackendProgress {
  public:
    BackendProgress(Terminal& terminal, const ServiceName& service, std::optional<Key> key)
        : terminal_(terminal), service_(service), key_(std::move(key)) {}
    BackendProgress(Terminal& terminal, const BackendId& id) : terminal_(terminal), id_(id) {}
    BackendProgress(const BackendProgress&) = delete;
    BackendProgress& operator=(const BackendProgress&) = delete;
    ~BackendProgress();

    bool is_shown() const { return terminal_.can_redraw; }

    // Looks while a call of this client waits for its answer, which must come in this one's life.
    void show_while_waiting(DaemonClient& client);

    // To be called some times a second; shows nothing for the first half.
    void look();

  private:
    std::string state();
    std::optional<KeyEntry> holder();
    std::optional<Status> status_of(const BackendId& id);
    std::optional<DaemonClient>& client();

    Terminal& terminal_;
    ServiceName service_ = ServiceName::standard();
    std::optional<Key> key_;
    std::optional<BackendId> id_;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    bool has_looked_for_client_ = false;
    std::optional<DaemonClient> client_;  // beside the one whose call waits
    bool drawn_ = false;
};

}  // namespace jamsock
