#include "daemon/demo/room.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace jamsock::demo;

namespace {

PostedEdit typed(const std::string& by, std::uint64_t number, std::uint64_t base,
                 std::u16string text) {
    return {{by, number, {{0, 0, std::move(text)}}}, base};
}

bool has_news(const Room::Seat& seat) {
    pollfd fd{seat.news(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a looker sees the whole text first, then what changes, each thing once") {
    Room room(4);
    room.edit(typed("w1", 1, 0, u"one"));
    const auto seat = room.enter("w1", "Ann");
    CHECK(has_news(*seat));
    const std::string first = seat->unseen().value();
    CHECK(contains(first, R"("text":"one")"));
    CHECK(contains(first, R"("number":1)"));
    CHECK(contains(first, "Ann"));
    CHECK(seat->unseen() == "");
    CHECK_FALSE(has_news(*seat));

    room.edit(typed("w2", 1, 1, u"two"));
    room.edit(typed("w2", 2, 2, u"three"));
    CHECK(has_news(*seat));
    const std::string next = seat->unseen().value();
    CHECK_FALSE(contains(next, "event: state"));
    CHECK(next.find("two") < next.find("three"));
    CHECK(contains(next, R"("version":3)"));
    CHECK(seat->unseen() == "");
}

TEST_CASE("an edit that is refused is no news") {
    Room room(4);
    const auto seat = room.enter("w1", "Ann");
    seat->unseen();
    CHECK(room.edit(typed("w1", 1, 9, u"x")) == Document::Outcome::invalid);
    CHECK_FALSE(has_news(*seat));
}

TEST_CASE("a looker who has missed more than is remembered sees the whole text again") {
    Room room(4);
    const auto seat = room.enter("w1", "Ann");
    seat->unseen();
    for (std::uint64_t number = 1; number < 6000; ++number)
        room.edit(typed("w2", number, number - 1, u"x"));
    const std::string events = seat->unseen().value();
    CHECK(contains(events, "event: state"));
    CHECK_FALSE(contains(events, "event: edit"));
}

TEST_CASE("who comes and goes is news for the others, and a colour is given again") {
    Room room(4);
    const auto ann = room.enter("w1", "Ann");
    ann->unseen();
    auto bob = room.enter("w2", "Bob");
    CHECK(has_news(*ann));
    CHECK(contains(ann->unseen().value(), R"({"colour":1,"id":"w2","name":"Bob"})"));
    CHECK(room.lookers() == 2);
    bob.reset();
    CHECK(has_news(*ann));
    CHECK_FALSE(contains(ann->unseen().value(), "Bob"));
    CHECK(room.lookers() == 1);
    const auto eve = room.enter("w3", "Eve");
    CHECK(contains(ann->unseen().value(), R"({"colour":1,"id":"w3","name":"Eve"})"));
}

TEST_CASE("a window that looks anew takes its own place, also in a full room") {
    Room room(2);
    const auto old = room.enter("w1", "Ann");
    const auto bob = room.enter("w2", "Bob");
    CHECK(room.enter("w3", "Eve") == nullptr);
    old->unseen();
    const auto anew = room.enter("w1", "Ann");
    REQUIRE(anew);
    CHECK(room.lookers() == 2);
    CHECK(has_news(*old));
    CHECK_FALSE(old->unseen());
    CHECK(anew->unseen());
}
