// What has had its time goes, and takes nothing along.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

void age_by_days(const std::string& path, int days) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= days * 24 * 60 * 60;
    const std::array times{now, now};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0) == 0);
}

std::string only_file_in(const std::string& directory) {
    REQUIRE(std::distance(fs::directory_iterator(directory), fs::directory_iterator()) == 1);
    return fs::directory_iterator(directory)->path();
}

void remove_database(const Home& home) {
    for (const char* name : {"/jamsock.db", "/jamsock.db-wal", "/jamsock.db-shm"})
        fs::remove(home.path() + name);
}

}  // namespace

TEST_CASE("a key whose lock file was swept gets a greater fencing token, also without database") {
    constexpr std::int64_t token_of_a_wrong_clock = 9'000'000'000'000;
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    home.output_of({"terminate", "--key", key});
    home.output_of({"daemon", "stop"});
    const std::string lock = only_file_in(home.path() + "/locks");
    std::ofstream(lock) << fmt::format("{:<19} {:<59}\n", token_of_a_wrong_clock, "knrv5");
    age_by_days(lock, 2);
    remove_database(home);

    home.output_of({"daemon", "start"});
    REQUIRE(eventually([&] { return !fs::exists(lock); }));
    home.output_of({"daemon", "stop"});
    remove_database(home);
    home.output_of({"connect", "--key", key});
    CHECK(home.keys().at(0).fencing_token > token_of_a_wrong_clock);
    CHECK(fs::exists(lock));
}

TEST_CASE("a running backend's lock file is not swept, however long it runs") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    const BackendId id = home.keys().at(0).backend_id;
    const std::string lock = only_file_in(home.path() + "/locks");
    age_by_days(lock, 2);
    const std::string unused = home.path() + "/locks/" + std::string(64, 'a');
    std::ofstream(unused) << "";
    age_by_days(unused, 2);
    home.output_of({"daemon", "restart"});
    REQUIRE(eventually([&] { return !fs::exists(unused); }));
    CHECK(fs::exists(lock));
    CHECK(home.keys().at(0).backend_id == id);
}
