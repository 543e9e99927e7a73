#include "daemon/shim/log_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/runtime_paths.h"
#include "common/unique_fd.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
namespace fs = std::filesystem;

namespace {

struct Fixture {
    const test::TemporaryDirectory home;
    const std::string path = home.path(state_file::log);
    const std::string older = home.path(LogFile::older_name);
    // As the keeper and the worker have it, behind one descriptor each.
    const UniqueFd keepers_fd = null(), workers_fd = null();
    const LogFile keepers{home.fd(), keepers_fd.get()};
    const LogFile workers{home.fd(), workers_fd.get()};

    static UniqueFd null() { return UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)); }
    static void write(const UniqueFd& fd, const std::string& text) {
        REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void grow_to(long long size) const { REQUIRE(::truncate(path.c_str(), size) == 0); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a log that has grown is moved aside, and both writers follow it") {
    REQUIRE(workers.follow());
    REQUIRE(keepers.follow());
    write(workers_fd, "one\n");
    write(keepers_fd, "two\n");
    CHECK(test::content_of(path) == "one\ntwo\n");
    grow_to(LogFile::largest - 4);
    workers.make_room(4);
    CHECK_FALSE(fs::exists(older));
    write(workers_fd, "end\n");
    workers.make_room(1);
    write(workers_fd, "new\n");
    CHECK(keepers.follow());
    write(keepers_fd, "too\n");
    CHECK(test::content_of(path) == "new\ntoo\n");
    CHECK(fs::file_size(older) == static_cast<std::uintmax_t>(LogFile::largest));
}

TEST_CASE_FIXTURE(Fixture, "a log that was removed is made anew") {
    REQUIRE(workers.follow());
    fs::remove(path);
    workers.make_room(4);
    write(workers_fd, "new\n");
    CHECK(test::content_of(path) == "new\n");
}

TEST_CASE_FIXTURE(Fixture, "a log that can't be moved aside is emptied") {
    REQUIRE(workers.follow());
    fs::create_directory(older);
    grow_to(LogFile::largest);
    workers.make_room(1);
    write(workers_fd, "new\n");
    CHECK(test::content_of(path) == "new\n");
}

TEST_CASE_FIXTURE(Fixture, "what somebody put in the place of the log isn't written to") {
    REQUIRE(workers.follow());
    write(workers_fd, "old\n");
    const auto is_left_alone = [&] {
        CHECK_FALSE(workers.follow());
        workers.make_room(4);
        fs::remove(path);
    };
    fs::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    is_left_alone();
    fs::create_symlink(home.path("elsewhere"), path);
    is_left_alone();
    CHECK_FALSE(fs::exists(home.path("elsewhere")));
}

TEST_CASE("a daemon in the foreground has no log to move") {
    const LogFile none(-1, -1);
    CHECK(none.follow());
    none.make_room(4);
}
