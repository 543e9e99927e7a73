#include "daemon/demo/room.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <stdexcept>

namespace jamsock::demo {

Room::Seat::Seat(Room& room, std::string id, std::string name)
    : room_(room),
      looker_{std::move(id), std::move(name), 0},
      news_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!news_) throw std::runtime_error("no descriptor is left for another looker");
}

Room::Seat::~Seat() {
    room_.leave(*this);
}

std::optional<std::string> Room::Seat::unseen() {
    ::eventfd_t count = 0;
    ::eventfd_read(news_.get(), &count);
    const std::lock_guard lock(room_.mutex_);
    if (is_replaced_) return std::nullopt;
    return room_.unseen_text(*this) + room_.unseen_lookers(*this);
}

std::unique_ptr<Room::Seat> Room::enter(std::string id, std::string name) {
    auto seat = std::make_unique<Seat>(*this, std::move(id), std::move(name));
    const std::lock_guard lock(mutex_);
    replace(seat->looker_.id);
    if (seats_.size() >= places_) return nullptr;
    seat->looker_.colour = free_colour();
    seats_.push_back(seat.get());
    lookers_changed();
    return seat;
}

Document::Outcome Room::edit(PostedEdit posted) {
    const std::lock_guard lock(mutex_);
    const Document::Outcome outcome = document_.apply(std::move(posted.edit), posted.base);
    if (outcome == Document::Outcome::applied) wake_all();
    return outcome;
}

std::size_t Room::lookers() const {
    const std::lock_guard lock(mutex_);
    return seats_.size();
}

std::chrono::seconds Room::uptime() const {
    return std::chrono::duration_cast<std::chrono::seconds>(BootClock::now() - started_);
}

void Room::leave(Seat& seat) {
    const std::lock_guard lock(mutex_);
    if (std::erase(seats_, &seat) > 0) lookers_changed();
}

void Room::replace(const std::string& id) {
    std::erase_if(seats_, [&](Seat* seat) {
        if (seat->looker_.id != id) return false;
        seat->is_replaced_ = true;
        ::eventfd_write(seat->news(), 1);
        return true;
    });
}

int Room::free_colour() const {
    int colour = 0;
    const auto is_taken = [&](const Seat* seat) { return seat->looker_.colour == colour; };
    while (std::ranges::any_of(seats_, is_taken))
        ++colour;
    return colour;
}

void Room::lookers_changed() {
    ++lookers_version_;
    wake_all();
}

void Room::wake_all() {
    for (const Seat* seat : seats_)
        ::eventfd_write(seat->news(), 1);
}

std::string Room::unseen_text(Seat& seat) const {
    std::string events;
    if (!seat.has_seen_state_ || !document_.remembers(seat.seen_version_)) {
        events = state_event(document_, document_.last_number_of(seat.looker_.id), uptime());
        seat.has_seen_state_ = true;
        seat.seen_version_ = document_.version();
    }
    for (; seat.seen_version_ < document_.version(); ++seat.seen_version_)
        events += edit_event(document_.edit_after(seat.seen_version_), seat.seen_version_ + 1);
    return events;
}

std::string Room::unseen_lookers(Seat& seat) const {
    if (seat.seen_lookers_ == lookers_version_) return {};
    seat.seen_lookers_ = lookers_version_;
    std::vector<Looker> lookers;
    for (const Seat* other : seats_)
        lookers.push_back(other->looker_);
    return lookers_event(lookers);
}

}  // namespace jamsock::demo
