// What has had its time goes, and takes nothing along.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"

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

// An ended backend, as if it had ended so many days ago.
BackendId ended_days_ago(const Home& home, int days) {
    home.output_of({"connect", "--key", home.own_key("old")});
    const BackendId id = home.keys().at(0).backend_id;
    home.output_of({"terminate", id.str()});
    const std::string directory = home.path() + "/history/" + id.str();
    REQUIRE(eventually([&] { return fs::exists(directory); }));
    home.output_of({"daemon", "stop"});
    SQLite::Database database(home.path() + "/jamsock.db", SQLite::OPEN_READWRITE);
    database.exec(
        fmt::format("UPDATE backend_status SET time = time - {}", days * 24 * 60 * 60 * 1000LL));
    age_by_days(directory, days);
    return id;
}

int status_of(const Home& home, const BackendId& id) {
    return home.get("/v2/backend/" + id.str()).status;
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

TEST_CASE("an ended backend is known for as many days as the configuration says") {
    const Home home;
    const BackendId id = ended_days_ago(home, 2);
    const std::string directory = home.path() + "/history/" + id.str();
    const std::string orphan = home.path() + "/history/orphan";
    fs::create_directory(orphan);
    age_by_days(orphan, 31);
    home.output_of({"daemon", "start"});
    REQUIRE(eventually([&] { return !fs::exists(orphan); }));
    CHECK(status_of(home, id) == 200);
    CHECK(fs::exists(directory));

    std::ofstream(home.path() + "/config.toml") << "history_days = 1\n";
    home.output_of({"daemon", "restart"});
    CHECK(eventually([&] { return status_of(home, id) == 404; }));
    CHECK(eventually([&] { return !fs::exists(directory); }));
    CHECK(home.jamsock({"status", id.str()}).exit_code == 4);
}

TEST_CASE("a configuration that can't be meant is refused, and its backends run on") {
    const Home home;
    const std::string config = home.path() + "/config.toml";
    home.output_of({"connect", "--key", home.own_key("k")});
    const KeyEntry entry = home.keys().at(0);
    const pid_t pid = home.backend(entry.backend_id).pid.value();
    home.output_of({"daemon", "stop"});

    std::ofstream(config) << "history_day = 7\n";
    const Words words{"There is no setting 'history_day' as in line 1 of", config,
                      "Did you mean 'history_days'?"};
    check_refused(home.jamsock({"connect", "--key", "other"}), 69, words, "cat -n " + config);
    check_refused(run_daemon(home.options()), 69, words, "cat -n " + config);
    CHECK(eventually([&] { return keepers_of(home.path()).empty(); }));
    CHECK(is_running(pid));

    std::ofstream(config) << "history_days = 7\n";
    home.output_of({"list"});
    CHECK(home.keys().at(0).backend_id == entry.backend_id);
    CHECK(home.backend(entry.backend_id).pid == pid);

    // A daemon that runs goes on.
    std::ofstream(config) << "history_day = 7\n";
    home.output_of({"daemon", "restart"});
    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    REQUIRE(eventually([&] { return home.worker() != 0 && home.worker() != worker; }));
    CHECK(home.backend(entry.backend_id).pid == pid);
    CHECK(home.output_of({"daemon", "logs"}).find("nothing of the history is swept") !=
          std::string::npos);
}
