#include "daemon/state_watch.h"

#include <doctest/doctest.h>

#include "common/file_lock.h"
#include "common/runtime_paths.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using Look = StateWatch::Look;

namespace {

struct State {
    test::TemporaryDirectory home;
    UniqueFd lock = FileLock::try_lock(home.fd(), state_file::daemon_lock).release();
    std::string socket = home.path(state_file::socket);
    StateWatch watch = started();

    StateWatch started() const {
        std::ofstream(socket) << "";
        return StateWatch(home.fd(), lock.get());
    }
};

}  // namespace

TEST_CASE("a state directory with its lock and socket is well") {
    State state;
    CHECK(state.watch.keeps_lock());
    CHECK(state.watch.look() == Look::well);
    CHECK(state.watch.look() == Look::well);
}

TEST_CASE("a lock file removed or replaced is lost at the second look") {
    State state;
    std::filesystem::remove(state.home.path(state_file::daemon_lock));
    CHECK_FALSE(state.watch.keeps_lock());
    CHECK(state.watch.look() == Look::well);
    CHECK(state.watch.look() == Look::lost);
    std::ofstream(state.home.path(state_file::daemon_lock)) << "";
    CHECK_FALSE(state.watch.keeps_lock());
    CHECK(state.watch.look() == Look::lost);
}

TEST_CASE("a socket's name that is gone is lost at the second look") {
    State state;
    std::filesystem::remove(state.socket);
    CHECK(state.watch.look() == Look::well);
    CHECK(state.watch.look() == Look::lost);
}

TEST_CASE("a socket's name that something else has is that one's") {
    State state;
    std::ofstream(state.socket + ".new") << "";
    std::filesystem::rename(state.socket + ".new", state.socket);
    CHECK(state.watch.look() == Look::covered);
    CHECK(state.watch.look() == Look::covered);
}

TEST_CASE("a state directory that was removed is seen at once") {
    State state;
    std::filesystem::remove_all(state.home.path());
    CHECK(state.watch.look() == Look::removed);
}

TEST_CASE("who locks a name has the file to which it leads") {
    const test::TemporaryDirectory home;
    const FileLock first = FileLock::try_lock(home.fd(), "lock");
    REQUIRE(first);
    CHECK_FALSE(FileLock::try_lock(home.fd(), "lock"));
    std::filesystem::remove(home.path("lock"));
    UniqueFd second = FileLock::try_lock(home.fd(), "lock").release();
    REQUIRE(second);
    CHECK(leads_to(home.fd(), "lock", second.get()));
}
