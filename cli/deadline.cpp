#include "cli/deadline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include <algorithm>
#include <vector>

namespace jamsock {

namespace {

constexpr std::chrono::duration<double> farthest = std::chrono::hours(24 * 365);

int milliseconds_until(Deadline deadline) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<long long>(left.count(), 0, INT_MAX));
}

}  // namespace

Deadline deadline_in(std::chrono::duration<double> duration) {
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<Deadline::duration>(std::min(duration, farthest));
}

bool wait_for_event(int fd, short events, Deadline deadline) {
    pollfd waiting{fd, events, 0};
    for (;;) {
        const int ready = ::poll(&waiting, 1, milliseconds_until(deadline));
        if (ready >= 0 || errno != EINTR) return ready > 0;
    }
}

void wait_for_any(std::initializer_list<int> fds, Deadline deadline) {
    std::vector<pollfd> waiting;
    for (const int fd : fds)
        waiting.push_back({fd, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), milliseconds_until(deadline));
}

}  // namespace jamsock
