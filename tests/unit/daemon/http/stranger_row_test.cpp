#include "daemon/http/stranger_row.h"

#include <doctest/doctest.h>

#include <map>

using namespace jamsock;

namespace {

constexpr uid_t own = 1000;
constexpr uid_t other = 65534;

// Clients by their sockets; `users`: who asks for whom.
struct World {
    std::map<int, uid_t> users;
    std::vector<int> put_out;
    int asked = 0;
    StrangerRow row{{.places = 4, .own_user = own, .user_of = [this](int fd) {
                         ++asked;
                         return std::optional<uid_t>(users.at(fd));
                     }}};

    std::uint64_t enter(int fd, uid_t user) {
        users[fd] = user;
        return row.enter(fd, [this, fd] { put_out.push_back(fd); });
    }
};

}  // namespace

TEST_CASE(
    "the newest stranger gets in for the oldest one, and nobody is asked for while few are here") {
    World world;
    for (int fd = 1; fd <= 2; ++fd)
        world.enter(fd, other);
    CHECK(world.asked == 0);
    for (int fd = 3; fd <= 6; ++fd)
        world.enter(fd, other);
    CHECK(world.asked == 6);
    CHECK(world.put_out == std::vector{1, 2});
    CHECK(world.row.count() == 4);
}

TEST_CASE("the server's own user needs no place, whatever strangers do") {
    World world;
    for (int fd = 1; fd <= 100; ++fd)
        world.enter(fd, fd % 2 == 0 ? own : other);
    CHECK(world.row.count() == 4);
    CHECK(world.put_out.size() == 46);
    for (const int fd : world.put_out)
        CHECK(world.users[fd] == other);
}

TEST_CASE("who has left is put out no more, also when its socket's number is another's") {
    World world;
    const auto first = world.enter(1, other);
    world.row.leave(first);
    const auto second = world.enter(1, other);
    world.row.leave(first);
    CHECK(world.row.count() == 1);
    world.row.leave(second);
    for (int fd = 2; fd <= 5; ++fd)
        world.enter(fd, other);
    CHECK(world.put_out.empty());
}
