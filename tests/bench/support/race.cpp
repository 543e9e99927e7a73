#include "tests/bench/support/race.h"

#include <algorithm>
#include <stdexcept>

namespace jamsock::bench {

template <class Action>
void Race::attempt(Runner& runner, Action action) {
    try {
        action();
    } catch (const std::runtime_error& error) {
        runner.failure = error.what();
        runner.load.reset();
        runner.paces.clear();
    }
}

Race::Race(const std::vector<Entrant>& entrants, int connections, const Distance& distance) {
    for (const auto& [server, talk] : entrants) {
        Runner& runner = runners_.emplace_back(Runner{server.name, server.process != 0});
        if (!server.is_installed()) continue;
        attempt(runner, [&] { runner.load.emplace(server, talk, connections); });
    }
    for (int round = 0; round < distance.rounds; ++round) {
        for (Runner& runner : runners_) {
            if (!runner.load) continue;
            attempt(runner, [&] { runner.paces.push_back(runner.load->run(distance.slice)); });
        }
    }
    for (Runner& runner : runners_)
        runner.load.reset();
}

Series Race::series(const Runner& runner, double Pace::*figure) {
    Series series{runner.name, {}, runner.failure};
    for (const Pace& pace : runner.paces)
        series.rounds.push_back(pace.*figure);
    return series;
}

std::vector<Series> Race::figures(double Pace::*figure) const {
    std::vector<Series> list;
    for (const Runner& runner : runners_)
        list.push_back(series(runner, figure));
    return list;
}

std::vector<Series> Race::processor_times() const {
    std::vector<Series> list;
    for (const Runner& runner : runners_)
        if (runner.has_process) list.push_back(series(runner, &Pace::processor_us));
    return list;
}

bool Race::has_failures() const {
    return std::ranges::any_of(runners_,
                               [](const Runner& runner) { return !runner.failure.empty(); });
}

}  // namespace jamsock::bench
