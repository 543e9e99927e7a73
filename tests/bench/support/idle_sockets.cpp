#include "tests/bench/support/idle_sockets.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>

#include <stdexcept>
#include <utility>

#include "tests/bench/support/process_cost.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"

namespace jamsock::bench {

namespace {

constexpr int few = 16;
constexpr int pause_ms = 200;

std::vector<Conversation> open_sockets(const Way& way, int count) {
    const Talk talk = websocket_echo(way.prefix);
    std::vector<Conversation> sockets;
    for (int i = 0; i < count; ++i)
        sockets.emplace_back(way.server, talk).ask(talk.request);
    return sockets;
}

// Once it no longer changes.
double settled_kib(pid_t process) {
    double now = memory_of(process).resident_kib;
    test::eventually([&] {
        ::poll(nullptr, 0, pause_ms);
        return now == std::exchange(now, memory_of(process).resident_kib);
    });
    return now;
}

void wait_until_closed(pid_t process, std::size_t descriptors) {
    const auto is_closed = [&] {
        return test::descriptors_of(process).size() <= descriptors + few;
    };
    if (!test::eventually(is_closed)) throw std::runtime_error("connections stay open");
}

void check_descriptor_limit(int sockets) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto needed = static_cast<rlim_t>(2 * sockets + 500);
    if (limit.rlim_cur >= needed) return;
    throw std::runtime_error(
        fmt::format("the open-file limit is {}; it takes {}", limit.rlim_cur, needed));
}

IdleSockets measure(const Way& way, int count) {
    check_descriptor_limit(count);
    const pid_t process = way.server.process;
    const std::size_t descriptors = test::descriptors_of(process).size();
    open_sockets(way, few);  // what is loaded for the first ones isn't counted
    wait_until_closed(process, descriptors);
    const double before = settled_kib(process);
    auto sockets = open_sockets(way, count);
    const double open = settled_kib(process);
    sockets.clear();
    wait_until_closed(process, descriptors);
    const double closed = settled_kib(process);
    return {.open_kib = {(open - before) / count}, .closed_kib = {(closed - before) / count}};
}

}  // namespace

IdleSockets measure_idle_sockets(const Way& way, int count) {
    if (!way.server.is_installed()) return {};
    try {
        return measure(way, count);
    } catch (const std::runtime_error& error) {
        return {.failure = error.what()};
    }
}

}  // namespace jamsock::bench
