#include "daemon/http/stranger_row.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/admission.h"

namespace jamsock {

std::uint64_t StrangerRow::enter(int fd, std::function<void()> put_out) {
    const std::uint64_t number = ++last_number_;
    row_.push_back({number, fd, std::move(put_out)});
    if (row_.size() > crowd(rules_.places)) ask();
    if (row_.size() > rules_.places) {
        std::vector<std::optional<uid_t>> users;
        std::ranges::transform(row_, std::back_inserter(users), &Stranger::user);
        const auto victim = row_.begin() + static_cast<std::ptrdiff_t>(whom_to_close(users));
        const auto put_victim_out = std::move(victim->put_out);
        row_.erase(victim);
        put_victim_out();
    }
    return number;
}

void StrangerRow::leave(std::uint64_t number) {
    std::erase_if(row_, [number](const Stranger& one) { return one.number == number; });
}

void StrangerRow::ask() {
    for (Stranger& stranger : row_) {
        if (stranger.was_asked) continue;
        stranger.was_asked = true;
        stranger.user = rules_.user_of(stranger.fd);
    }
    std::erase_if(row_,
                  [this](const Stranger& stranger) { return stranger.user == rules_.own_user; });
}

}  // namespace jamsock
