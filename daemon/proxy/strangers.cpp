#include "daemon/proxy/strangers.h"

#include <vector>

#include "daemon/admission.h"
#include "daemon/proxy/peer.h"

namespace jamsock {

void Strangers::enter(Stranger& newcomer) {
    row_.push_back(newcomer);
    ++count_;
    if (count_ > crowd(places_)) ask_newest();
    if (count_ > places_) put_one_out();
}

void Strangers::leave(Stranger& stranger) {
    if (!stranger.Hook<StrangerTag>::is_linked()) return;
    stranger.Hook<StrangerTag>::unlink();
    --count_;
}

// Whoever was asked for stands before whoever was not.
void Strangers::ask_newest() {
    auto at = row_.end();
    while (at != row_.begin()) {
        Stranger& newest = *--at;
        if (newest.was_asked_) return;
        newest.was_asked_ = true;
        newest.user_ = peer_user(inquiry_, newest.socket());
        if (newest.user_ != own_user_) continue;
        ++at;
        leave(newest);
        newest.is_own();
    }
}

void Strangers::put_one_out() {
    std::vector<std::optional<uid_t>> users;
    users.reserve(count_);
    for (const Stranger& stranger : row_)
        users.push_back(stranger.user_);
    auto victim = row_.begin();
    std::advance(victim, whom_to_close(users));
    Stranger& closed = *victim;
    leave(closed);
    closed.put_out();
}

}  // namespace jamsock
