// Values of several rounds, and the one table that the benchmarks print together. In every round
// all programs were measured in turn, so only values of the same round are set against each other.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace jamsock::bench {

struct Spread {
    double median = 0;
    double least = 0;
    double most = 0;
};

// All zero if there are no values.
Spread spread_of(std::vector<double> values);

struct Series {
    std::string program;
    std::vector<double> rounds;  // one value a round; empty: not installed, or failed
    std::string failure = {};    // why there is none
};

struct Goal {
    std::string text;        // "≤ 1.4 × bare echo"
    double most_times = 0;   // jamsock's value over the one of `program` …
    double least_times = 0;  // … at most, or else at least
    std::string program = {};
    double most = 0;  // in place of these: jamsock's value itself
};

struct Unit {
    const char* name;  // as it stands behind the number: " µs"
    int digits;        // after the point
};

// One row: jamsock's own series is the first, then come the floors and peers, each with jamsock's
// ratio to it.
void print_row(const std::string& what, const Unit& unit, const std::vector<Series>& series,
               const std::optional<Goal>& goal = {});

// A row of one measurement. `is_reached`: nothing if it has no goal.
void print_row(const std::string& what, const std::string& value, const std::string& details,
               const std::string& goal = {}, std::optional<bool> is_reached = {});

}  // namespace jamsock::bench
