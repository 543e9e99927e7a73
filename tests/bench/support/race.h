// Programs that are measured in turn, round after round, over connections that stay open. Who fails
// is out of the race and says why; the others go on.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/support/closed_loop.h"
#include "tests/bench/support/table.h"

namespace jamsock::bench {

struct Entrant {
    Server server;
    Talk talk;
};

struct Distance {
    int rounds = 0;
    std::chrono::milliseconds slice{};  // one program's part of a round
};

class Race {
  public:
    Race(const std::vector<Entrant>& entrants, int connections, const Distance& distance);

    // One series for each entrant, in their order; without rounds if it is not installed.
    std::vector<Series> figures(double Pace::*figure) const;
    // The server's processor time for a call, in microseconds; of those whose process is known.
    std::vector<Series> processor_times() const;
    bool has_failures() const;

  private:
    struct Runner {
        std::string name;
        bool has_process = false;
        std::optional<Load> load = {};
        std::vector<Pace> paces = {};
        std::string failure = {};
    };

    template <class Action>
    static void attempt(Runner& runner, Action action);

    static Series series(const Runner& runner, double Pace::*figure);

    std::vector<Runner> runners_;
};

}  // namespace jamsock::bench
