#include "tests/bench/support/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace jamsock::bench {

namespace {

std::vector<double> ratios(const Series& series, const Series& to) {
    std::vector<double> list;
    for (std::size_t i = 0; i < std::min(series.rounds.size(), to.rounds.size()); ++i)
        list.push_back(series.rounds[i] / to.rounds[i]);
    return list;
}

std::string number(const Unit& unit, double value) {
    return fmt::format("{:.{}f}", value, unit.digits);
}

std::string own_figure(const Unit& unit, const Series& jamsock) {
    if (jamsock.rounds.empty()) return "failed: " + jamsock.failure;
    const Spread own = spread_of(jamsock.rounds);
    return fmt::format("{}{} ({}–{})", number(unit, own.median), unit.name, number(unit, own.least),
                       number(unit, own.most));
}

std::string described(const Unit& unit, const Series& jamsock, const Series& other) {
    if (!other.failure.empty()) return fmt::format("{} failed: {}", other.program, other.failure);
    if (other.rounds.empty()) return fmt::format("{}: not installed", other.program);
    if (jamsock.rounds.empty()) {
        return fmt::format("{} {}{}", other.program, number(unit, spread_of(other.rounds).median),
                           unit.name);
    }
    const Spread ratio = spread_of(ratios(jamsock, other));
    return fmt::format("{} {}{}: **{:.2f}** ({:.2f}–{:.2f})", other.program,
                       number(unit, spread_of(other.rounds).median), unit.name, ratio.median,
                       ratio.least, ratio.most);
}

const char* word(bool is_reached) {
    return is_reached ? "yes" : "**no**";
}

std::string verdict(const Goal& goal, const Series& jamsock, const std::vector<Series>& others) {
    constexpr const char* unknown = "not measured";
    if (jamsock.rounds.empty()) return unknown;
    if (goal.most > 0) return word(spread_of(jamsock.rounds).median <= goal.most);
    const auto named = [&goal](const Series& series) { return series.program == goal.program; };
    const auto other = std::ranges::find_if(others, named);
    if (other == others.end() || other->rounds.empty()) return unknown;
    const double times = spread_of(ratios(jamsock, *other)).median;
    return word(goal.most_times > 0 ? times <= goal.most_times : times >= goal.least_times);
}

void print_cells(const std::string& what, const std::string& jamsock, const std::string& others,
                 const std::string& goal, const std::string& is_reached) {
    fmt::print("| {} | {} | {} | {} | {} |\n", what, jamsock, others, goal, is_reached);
    std::fflush(stdout);
}

}  // namespace

Spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

void print_row(const std::string& what, const Unit& unit, const std::vector<Series>& series,
               const std::optional<Goal>& goal) {
    const Series& jamsock = series.front();
    const std::vector<Series> others(series.begin() + 1, series.end());
    std::vector<std::string> texts;
    for (const Series& other : others)
        texts.push_back(described(unit, jamsock, other));
    print_cells(what, own_figure(unit, jamsock), fmt::format("{}", fmt::join(texts, "<br>")),
                goal ? goal->text : "", goal ? verdict(*goal, jamsock, others) : "");
}

void print_row(const std::string& what, const std::string& value, const std::string& details,
               const std::string& goal, std::optional<bool> is_reached) {
    print_cells(what, value, details, goal, is_reached ? word(*is_reached) : "");
}

}  // namespace jamsock::bench
