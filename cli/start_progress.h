// One line on a terminal while a backend starts: its status, the time, its last line of output.
// Gone without a trace at the end. Knows the backend by its key; of one without, only the time
// shows.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/daemon_client.h"
#include "cli/terminal.h"

namespace jamsock {

class StartProgress {
  public:
    StartProgress(Terminal& terminal, const ServiceName& service, const std::optional<Key>& key);
    StartProgress(const StartProgress&) = delete;
    StartProgress& operator=(const StartProgress&) = delete;
    ~StartProgress();

    // To be called some times a second; shows nothing for the first half.
    void look();

  private:
    std::string state();
    std::optional<DaemonClient>& client();

    Terminal& terminal_;
    const ServiceName& service_;
    const std::optional<Key>& key_;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    UniqueFd directory_;
    std::optional<DaemonClient> client_;  // beside the one whose call waits
    bool drawn_ = false;
};

}  // namespace jamsock
