// What bad surroundings get: the state directory, the socket in it, the database, the disk.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "common/unique_fd.h"
#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

bool is_root() {
    return ::geteuid() == 0;
}

RunOptions with_state_in(const Home& home, const std::string& directory) {
    RunOptions options = home.options();
    options.environment["JAMSOCK_HOME"] = directory;
    return options;
}

// One that refuses to start may still be ending when its starter has been told. One that runs all
// the same is ended: no Home knows of it.
void check_no_daemon(const std::string& directory) {
    CHECK(eventually([&] { return keepers_of(directory).empty(); }));
    CHECK(workers_of(directory).empty());
    for (const pid_t keeper : keepers_of(directory))
        ::kill(keeper, SIGTERM);
}

// By the command line, whether it may start a daemon or not, and by the daemon itself.
void check_state_refused(const Home& home, const RunOptions& options, const Words& words,
                         const std::string& hint, int exit_code = 69) {
    for (const std::vector<std::string>& call :
         {std::vector<std::string>{"connect", "--key", "k"}, {"list"}, {"daemon", "run"}}) {
        CAPTURE(call.front());
        check_refused(home.jamsock(call, options), exit_code, words, hint);
    }
    check_refused(run_daemon(options), exit_code, words, hint);
}

void check_directory_refused(const Home& home, const std::string& directory, const Words& words,
                             const std::string& hint, int exit_code = 69) {
    check_state_refused(home, with_state_in(home, directory), words, hint, exit_code);
    check_no_daemon(directory);
}

// Who asks over TCP is told of the full disk, and not where it is.
void check_told_over_tcp(const Home& home) {
    const Answer refused = home.post_tcp("/v2/service/local/default/connect", R"({"key":"k"})");
    CHECK(refused.status == 507);
    const Error error = error_from_json(refused.body, refused.status);
    CHECK(error.message.find("disk of the state directory is full") != std::string::npos);
    CHECK(error.hint.empty());
}

// Pastes what a refused call told to try into a shell.
void follow_hint(const Home& home) {
    const RunResult refused = home.jamsock({"connect", "--key", "k"});
    const auto hint = refused.err.find("Try: ");
    REQUIRE(hint != std::string::npos);
    const RunResult done = run({"/bin/sh", "-c", refused.err.substr(hint + 5)}, home.options());
    INFO(done.err);
    REQUIRE(done.exit_code == 0);
}

// Looks at the processes themselves: one that ends loses its command line before its sockets.
void kill_daemon(const Home& home) {
    const pid_t keeper = home.keeper();
    const pid_t worker = home.worker();
    REQUIRE(keeper != 0);
    REQUIRE(worker != 0);
    ::kill(keeper, SIGKILL);
    REQUIRE(eventually([&] { return !is_running(keeper) && !is_running(worker); }));
    CHECK(keepers_of(home.path()).empty());
    CHECK(workers_of(home.path()).empty());
}

std::ptrdiff_t count_in(const std::string& directory) {
    const fs::directory_iterator entries(directory);
    return std::distance(begin(entries), end(entries));
}

// A new daemon knows the process once its shim has answered.
void check_adopted(const Home& home, const BackendInfo& before) {
    CHECK(eventually([&] { return home.backend(before.id).pid == before.pid; }));
    CHECK(is_running(*before.pid));
}

void overwrite(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The files of a stopped instance that a refused start must leave alone. A log of why is no change.
std::map<std::string, std::string> kept_by(const Home& home) {
    auto contents = contents_of(home.path());
    std::erase_if(contents, [](const auto& file) {
        const std::string name = fs::path(file.first).filename();
        return name.starts_with("jamsockd.log") || name == "start.lock" || name.ends_with("-shm");
    });
    return contents;
}

// A daemon is not started on this database, by nobody, and the instance stays as it is.
void check_database_refused(const Home& home, const Words& words, const std::string& hint) {
    const auto before = kept_by(home);
    const pid_t running = home.keeper();
    CHECK(running == 0);
    check_refused(home.jamsock({"connect", "--key", "k"}), 69, words, hint);
    check_refused(home.jamsock({"daemon", "start"}), 69, words, hint);
    check_no_daemon(home.path());
    auto after = kept_by(home);
    after.erase(home.path() + "/jamsockd.sock");
    auto expected = before;
    expected.erase(home.path() + "/jamsockd.sock");
    CHECK(after == expected);
}

// A program that isn't the daemon, on the daemon's socket: answers every client with `words`, or
// never if they are empty.
class StrangerOnSocket {
  public:
    StrangerOnSocket(const std::string& path, std::string words)
        : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), words_(std::move(words)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(socket_.get(), 5) == 0);
        if (!words_.empty()) thread_ = std::jthread([this] { answer_all(); });
    }
    ~StrangerOnSocket() { ::shutdown(socket_.get(), SHUT_RDWR); }

  private:
    void answer_all() {
        for (;;) {
            const UniqueFd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!client) return;
            char request[4096];
            if (::recv(client.get(), request, sizeof request, 0) <= 0) continue;
            ::send(client.get(), words_.data(), words_.size(), MSG_NOSIGNAL);
        }
    }

    UniqueFd socket_;
    std::string words_;
    std::jthread thread_;
};

}  // namespace

TEST_CASE("a state directory that is a symbolic link is refused, and where it leads is told") {
    const Home home;
    const std::string real = home.path() + "/real";
    const std::string link = home.path() + "/link";
    fs::create_directory(real);
    fs::permissions(real, fs::perms::owner_all);
    fs::create_directory_symlink(real, link);
    check_directory_refused(home, link, {"'" + link + "'", "is a symbolic link, to '" + real + "'"},
                            "export JAMSOCK_HOME=" + real);
    CHECK(fs::is_empty(real));
    CHECK(fs::is_symlink(link));
}

TEST_CASE("a state directory of another user is refused") {
    const Home home;
    if (!is_root()) {
        check_directory_refused(home, "/usr", {"'/usr' belongs to another user"},
                                "export JAMSOCK_HOME=", 77);
        return;
    }
    const std::string theirs = home.path() + "/theirs";
    fs::create_directory(theirs);
    fs::permissions(theirs, fs::perms::owner_all);
    REQUIRE(::chown(theirs.c_str(), 65534, 65534) == 0);
    check_directory_refused(home, theirs, {"'" + theirs + "' belongs to another user"},
                            "export JAMSOCK_HOME=", 77);
    CHECK(fs::is_empty(theirs));
}

TEST_CASE("a state directory that others may look into is refused, and stays open to them") {
    const Home home;
    const std::string open = home.path() + "/open";
    fs::create_directory(open);
    for (const mode_t mode : {0750, 0701, 0720}) {
        CAPTURE(mode);
        REQUIRE(::chmod(open.c_str(), mode) == 0);
        check_directory_refused(home, open, {"'" + open + "' is open to other users"},
                                "chmod 700 " + open);
        struct stat status {};
        REQUIRE(::stat(open.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == mode);
    }
    CHECK(fs::is_empty(open));
}

TEST_CASE("a state directory on a network file system is refused") {
    const Home home;
    const std::string shared = home.path() + "/shared";
    fs::create_directory(shared);
    fs::permissions(shared, fs::perms::owner_all);
    RunOptions options = with_state_in(home, shared);
    options.environment["LD_PRELOAD"] = JAMSOCK_NETWORK_PRETENCE;
    options.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
    const Words words{"'" + shared + "' lies on a network file system"};
    const std::string hint = "export JAMSOCK_HOME=/a/local/directory";
    for (std::vector<std::string> call :
         {std::vector<std::string>{"connect", "--key", "k"}, {"list"}, {"daemon", "start"}}) {
        call.insert(call.begin(), JAMSOCK_DYNAMIC);
        check_refused(run(call, options), 69, words, hint);
    }
    check_refused(run_daemon(options), 69, words, hint);
    check_no_daemon(shared);
    CHECK(fs::is_empty(shared));
}

TEST_CASE("what is no directory, or can't be made one, is refused") {
    const Home home;
    const std::string file = home.path() + "/file";
    overwrite(file, "mine");
    check_directory_refused(home, file, {"'" + file + "' is no directory"}, "export JAMSOCK_HOME=");
    CHECK(content_of(file) == "mine");

    const auto check_unmade = [&](const std::string& path, const std::string& why) {
        const RunOptions options = with_state_in(home, path);
        const Words words{"'" + path + "' can't be made", why};
        check_refused(home.jamsock({"connect", "--key", "k"}, options), 69, words,
                      "export JAMSOCK_HOME=");
        check_refused(run_daemon(options), 69, words, "export JAMSOCK_HOME=");
        CHECK_FALSE(fs::exists(path));
    };
    check_unmade(file + "/state", "Not a directory");
    check_unmade("/proc/jamsock", "No such file or directory");
    if (is_root()) {
        MESSAGE("without the case of a parent that can't be written: root may write any");
        return;
    }
    const std::string parent = home.path() + "/closed";
    fs::create_directory(parent);
    fs::permissions(parent, fs::perms::owner_read | fs::perms::owner_exec);
    check_unmade(parent + "/state", "Permission denied");
}

TEST_CASE("a state directory that can't be told, or is relative, is refused") {
    const Home home;
    RunOptions options = with_state_in(home, "some/where");
    options.directory = home.path();
    check_state_refused(home, options, {"'some/where' is not an absolute path"},
                        "export JAMSOCK_HOME=/an/absolute/path", 2);
    options.environment.erase("JAMSOCK_HOME");
    options.environment.erase("HOME");
    check_state_refused(home, options, {"Neither JAMSOCK_HOME nor HOME is set"},
                        "export JAMSOCK_HOME=");
    CHECK(fs::is_empty(home.path()));
}

TEST_CASE("a second daemon on the same state directory is refused") {
    const Bystander bystander;
    const Words words{"Another daemon already runs", "'" + bystander.home.path() + "'"};
    check_refused(bystander.home.jamsock({"daemon", "run"}), 69, words, "jamsock daemon status");
    check_refused(run_daemon(bystander.home.options()), 69, words, "jamsock daemon status");
    const RunResult start = bystander.home.jamsock({"daemon", "start"});
    CHECK(start.exit_code == 0);
    CHECK(start.out.find("was running already") != std::string::npos);
    bystander.check();
}

TEST_CASE("a file of the daemon's own that can't be used is named, and no daemon is started") {
    const Home home;
    const auto with_directory_in_place = [&](const std::string& name, auto check) {
        CAPTURE(name);
        const std::string place = home.path() + "/" + name;
        fs::create_directory(place);
        check("'" + place + "'");
        check_no_daemon(home.path());
        CHECK(fs::is_directory(place));
        CHECK_FALSE(fs::exists(home.path() + "/jamsock.db"));
        fs::remove(place);
    };
    const std::vector<std::string> connect{"connect", "--key", "k"};
    with_directory_in_place("start.lock", [&](const std::string&) {
        check_refused(home.jamsock(connect), 69, {"start.lock", "can't be locked: Is a directory"},
                      "ls -ld " + home.path());
    });
    with_directory_in_place("jamsockd.log", [&](const std::string&) {
        check_refused(home.jamsock(connect), 69, {"log can't be opened: Is a directory"});
    });
    with_directory_in_place("daemon.lock", [&](const std::string& place) {
        const Words words{place + " can't be locked: Is a directory"};
        check_refused(home.jamsock(connect), 69, words, "ls -ld " + home.path());
        check_refused(run_daemon(home.options()), 69, words, "ls -ld " + home.path());
    });
    for (const char* name : {"backends", "history", "locks"}) {
        CAPTURE(name);
        const std::string place = home.path() + "/" + name;
        std::error_code absent;
        fs::remove(place, absent);
        overwrite(place, "mine");
        check_refused(home.jamsock(connect), 69,
                      {"directory '" + std::string(name) + "'", "can't be used: Not a directory"});
        check_no_daemon(home.path());
        CHECK(content_of(place) == "mine");
        fs::remove(place);
    }
    home.output_of(connect);
}

TEST_CASE("a state directory that can't be written is refused") {
    if (is_root()) {
        MESSAGE("skipped: root may write any directory");
        return;
    }
    const Home home;
    fs::permissions(home.path(), fs::perms::owner_read | fs::perms::owner_exec);
    check_refused(home.jamsock({"connect", "--key", "k"}), 69, {"start.lock", "Permission denied"},
                  "ls -ld " + home.path());
    check_refused(run_daemon(home.options()), 69, {"daemon.lock", "Permission denied"},
                  "ls -ld " + home.path());
    CHECK(fs::is_empty(home.path()));
    fs::permissions(home.path(), fs::perms::owner_all);
    home.output_of({"connect", "--key", "k"});
}

TEST_CASE("a socket that a killed daemon left is no daemon: the next call starts one and adopts") {
    Home home;
    const std::string key = home.own_key("k");
    const std::string url = home.output_of({"connect", "--key", key});
    const BackendInfo before = home.backend(home.keys().at(0).backend_id);
    kill_daemon(home);
    REQUIRE(fs::is_socket(home.path() + "/jamsockd.sock"));
    CHECK(home.jamsock({"daemon", "status"}).exit_code == 3);
    home.output_of({"connect", "--key", key});
    CHECK(home.keys().size() == 1);
    check_adopted(home, before);
    CHECK(fetch(url).status == 200);
    CHECK(keepers_of(home.path()).size() == 1);
}

TEST_CASE("what is no socket in the socket's place is left alone, and no daemon is started") {
    const Home home;
    const std::string place = home.path() + "/jamsockd.sock";
    const Words words{"In the place of the daemon's socket", "'" + place + "'"};
    const std::string hint = fmt::format("mv {} {}.aside", place, place);
    const auto check_left = [&] {
        check_refused(home.jamsock({"connect", "--key", "k"}), 69, words, hint);
        check_refused(home.jamsock({"daemon", "run"}), 69, words, hint);
        check_no_daemon(home.path());
        CHECK_FALSE(fs::exists(home.path() + "/jamsock.db"));
        CHECK(home.jamsock({"daemon", "status"}).exit_code == 3);
    };
    overwrite(place, "mine");
    check_left();
    CHECK(content_of(place) == "mine");
    fs::remove(place);
    fs::create_directory(place);
    check_left();
    CHECK(fs::is_directory(place));

    fs::remove(place);
    home.output_of({"connect", "--key", "k"});
}

TEST_CASE("another program on the daemon's socket is named, and no daemon is started over it") {
    const Home home;
    home.output_of({"daemon", "start"});
    home.output_of({"daemon", "stop"});
    const std::string socket = home.path() + "/jamsockd.sock";
    {
        const StrangerOnSocket stranger(socket, "220 mail ready\r\n\r\n");
        const std::string pid = std::to_string(::getpid());
        for (const std::vector<std::string>& call :
             {std::vector<std::string>{"connect", "--key", "k"}, {"list"}, {"daemon", "start"}}) {
            check_refused(home.jamsock(call), 69, {"The process " + pid, "isn't the daemon"},
                          "ps -fp " + pid);
        }
        check_no_daemon(home.path());
    }
    fs::remove(socket);
    {
        const StrangerOnSocket stranger(socket, "");
        check_refused(home.jamsock({"connect", "--key", "k", "--timeout", "1"}), 124,
                      {"within 1 s"});
        check_no_daemon(home.path());
        CHECK(fs::is_socket(socket));
    }
    home.output_of({"connect", "--key", "k"});
}

TEST_CASE("a database that is garbage, of another program or of a newer version is left as it is") {
    const Home home;
    home.output_of({"daemon", "start"});
    home.output_of({"daemon", "stop"});
    const std::string database = home.path() + "/jamsock.db";
    const std::string hint = fmt::format("mkdir {0}.aside && mv {0} {0}.aside", database);
    SUBCASE("garbage") {
        overwrite(database, "garbage\n");
        check_database_refused(home, {"jamsock.db", "is damaged or no database", "left as it is"},
                               hint);
    }
    SUBCASE("damaged within") {
        std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(100);
        file << std::string(4000, '\x7f');
        file.close();
        check_database_refused(home, {"jamsock.db", "is damaged"}, hint);
    }
    SUBCASE("another program's") {
        fs::remove(database);
        SQLite::Database(database, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
            .exec("CREATE TABLE notes (text); PRAGMA user_version=3");
        check_database_refused(home, {"jamsock.db", "belongs to another program"}, hint);
    }
    SUBCASE("a newer version's") {
        SQLite::Database(database, SQLite::OPEN_READWRITE).exec("PRAGMA user_version=99");
        check_database_refused(home, {"jamsock.db", "newer version of jamsock"}, hint);
    }
    SUBCASE("a directory") {
        fs::remove(database);
        fs::create_directory(database);
        check_database_refused(home, {"jamsock.db", "is a directory"}, hint);
    }
    follow_hint(home);
    home.output_of({"connect", "--key", "k"});
    CHECK(fs::exists(database + ".aside/jamsock.db"));
}

TEST_CASE("a database that can't be written is refused") {
    if (is_root()) {
        MESSAGE("skipped: root may write any file");
        return;
    }
    const Home home;
    home.output_of({"daemon", "start"});
    home.output_of({"daemon", "stop"});
    const std::string database = home.path() + "/jamsock.db";
    fs::permissions(database, fs::perms::owner_read);
    check_database_refused(home, {"jamsock.db", "can't be written"}, "chmod 600 " + database);
    fs::permissions(database, fs::perms::owner_read | fs::perms::owner_write);
    home.output_of({"connect", "--key", "k"});
}

TEST_CASE("a refused database costs no running backend: put aside, all are found again") {
    Home home;
    const std::string key = home.own_key("k");
    const std::string url = home.output_of({"connect", "--key", key});
    const BackendInfo before = home.backend(home.keys().at(0).backend_id);
    kill_daemon(home);
    const std::string database = home.path() + "/jamsock.db";
    SQLite::Database(database, SQLite::OPEN_READWRITE).exec("PRAGMA user_version=99");
    check_database_refused(home, {"newer version of jamsock"}, "mkdir " + database);
    CHECK(is_running(*before.pid));
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key).size() == 1);
    follow_hint(home);
    home.output_of({"list"});
    check_adopted(home, before);
    CHECK(fetch(url).status == 200);
}

TEST_CASE("a newer version's log is put aside together with its database") {
    const Home home;
    home.output_of({"daemon", "start"});
    kill_daemon(home);
    const std::string database = home.path() + "/jamsock.db";
    const std::string copy = home.path() + "/copy";
    fs::create_directory(copy);
    {  // as a killed newer daemon would leave it: its mark is in the log alone
        SQLite::Database newer(database, SQLite::OPEN_READWRITE);
        newer.exec("PRAGMA wal_autocheckpoint=0; PRAGMA user_version=99");
        for (const char* file : {"/jamsock.db", "/jamsock.db-wal"})
            fs::copy(home.path() + file, copy + file);
    }
    for (const char* file : {"/jamsock.db", "/jamsock.db-wal"})
        fs::rename(copy + file, home.path() + file);
    fs::remove(copy);
    check_database_refused(home, {"newer version of jamsock"}, "mkdir " + database);
    follow_hint(home);
    home.output_of({"connect", "--key", "k"});
    CHECK(SQLite::Database(database + ".aside/jamsock.db", SQLite::OPEN_READWRITE)
              .execAndGet("PRAGMA user_version")
              .getInt() == 99);
}

TEST_CASE("a checkpoint that was cut after the first page leaves a database that is sound") {
    const Home home;
    for (int i = 0; i < 40; ++i)
        home.output_of({"service", "create", "s" + std::to_string(i), "--", "/bin/true"});
    kill_daemon(home);
    const std::string database = home.path() + "/jamsock.db";
    const std::string folded = home.path() + "/folded.db";
    fs::copy(database, folded);
    fs::copy(database + "-wal", folded + "-wal");
    SQLite::Database(folded, SQLite::OPEN_READWRITE).exec("PRAGMA wal_checkpoint(TRUNCATE)");
    REQUIRE(fs::file_size(folded) > fs::file_size(database));
    std::string first_page(4096, '\0');
    std::ifstream(folded, std::ios::binary).read(first_page.data(), 4096);
    std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
    file.write(first_page.data(), 4096);
    file.close();
    fs::remove(folded);
    const std::string services = home.output_of({"service", "list"});
    CHECK(std::ranges::count(services, '\n') == 40);  // with the default one, less the last newline
}

TEST_CASE("an empty database beside live locks: keys keep their backends, ids and URLs") {
    Home home;
    const std::string key = home.own_key("k");
    const std::string url = home.output_of({"connect", "--key", key});
    const KeyEntry held = home.keys().at(0);
    const BackendInfo before = home.backend(held.backend_id);
    const std::string database = home.path() + "/jamsock.db";
    kill_daemon(home);
    REQUIRE(fs::exists(database + "-wal"));
    SUBCASE("with what the killed daemon left beside it") {
    }
    SUBCASE("alone") {
        fs::remove(database + "-wal");
        fs::remove(database + "-shm");
    }
    overwrite(database, "");

    const auto again =
        ConnectResponse::from_json(home.output_of({"connect", "--key", key, "--json"}));
    REQUIRE(again);
    CHECK_FALSE(again->spawned);
    CHECK(again->backend_id == held.backend_id);
    REQUIRE(home.keys().size() == 1);
    CHECK(home.keys()[0].fencing_token == held.fencing_token);
    check_adopted(home, before);
    CHECK(processes_with("SESSION_BACKEND_KEY=" + key) == std::vector{*before.pid});
    CHECK(fetch(url).status == 200);

    home.output_of({"terminate", "--key", key});
    home.output_of({"connect", "--key", key});
    CHECK(home.keys().at(0).fencing_token > held.fencing_token);
}

TEST_CASE(
    "a database deleted or replaced under the daemon gives no new key, and the rest goes on") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const std::string database = bystander.file("jamsock.db");
    fs::rename(database, database + ".taken");
    const auto check_refusing = [&] {
        check_refused(home.jamsock({"connect", "--key", home.own_key("new")}), 1,
                      {"database was deleted or replaced", "no key can be given"},
                      "jamsock daemon restart");
        CHECK(processes_with("SESSION_BACKEND_KEY=" + home.own_key("new")).empty());
        bystander.check_alone();
        home.output_of({"lookup", "--key", bystander.key});
        home.output_of({"connect", "--key", bystander.key});
    };
    check_refusing();
    CHECK_FALSE(fs::exists(database));
    overwrite(database, "somebody else's");
    check_refusing();
    CHECK(content_of(database) == "somebody else's");

    fs::remove(database);
    fs::remove(database + "-wal");
    fs::remove(database + "-shm");
    home.output_of({"daemon", "restart"});
    CHECK(fetch(bystander.url).status == 200);
    CHECK(home.connect({.key = Key::parse(home.own_key("new")).value()})->spawned);
    CHECK(home.keys().size() == 2);
}

TEST_CASE("the log has a failed request's id on the line of its cause") {
    const Home home;
    home.output_of({"daemon", "start"});
    SQLite::Database(home.path() + "/jamsock.db", SQLite::OPEN_READWRITE).exec("DROP TABLE token");
    const Answer refused =
        home.post("/v2/service/local/default/connect", R"({"key":"k","user":"ann"})");
    CHECK(refused.status == 500);
    CHECK(refused.body.find("no such table") == std::string::npos);
    const auto id_at = refused.body.find(R"("id":")") + 6;
    const std::string id = refused.body.substr(id_at, refused.body.find('"', id_at) - id_at);
    const std::string log = home.output_of({"daemon", "logs"});
    CHECK(log.find("request " + id +
                   " failed: Internal: The daemon's database could not be written. "
                   "(remember_identity: no such table: token") != std::string::npos);
}

TEST_CASE(
    "on a full disk no key is given, those held go on, and space heals it without a restart") {
    auto made = std::make_unique<Home>();
    const SmallDisk disk(made->path(), "3m");
    const std::unique_ptr<Home> ends_before_the_disk = std::move(made);
    const Home& home = *ends_before_the_disk;
    if (!disk.is_mounted()) {
        MESSAGE("skipped: no right to mount a file system");
        return;
    }
    const auto connect_new = [&](const std::string& name) {
        return home.jamsock({"connect", "--key", home.own_key(name), "--", test_backend()});
    };
    const std::string held = home.own_key("held");
    const std::string url = home.output_of({"connect", "--key", held});
    const KeyEntry entry = home.keys().at(0);
    const auto check_held = [&] {
        REQUIRE(eventually([&] { return home.keys().size() == 1; }));
        CHECK(home.keys()[0].backend_id == entry.backend_id);
        CHECK(fetch(home.output_of({"connect", "--key", held})).status == 200);
        CHECK(fetch(home.output_of({"lookup", "--key", held})).status == 200);
        CHECK(home.output_of({"list"}).starts_with(held + "\t"));
        CHECK(fetch(url).status == 200);
    };

    // Full at every moment of a start: what it fails at differs, that it fails cleanly doesn't.
    int refused_by_database = 0;
    for (const std::uintmax_t left : {0, 4096, 8192, 12288, 16384, 20480, 28672, 40960}) {
        CAPTURE(left);
        disk.fill(left);
        const RunResult refused = connect_new("new");
        INFO(refused.err);
        if (refused.exit_code != 0) {
            CHECK(refused.out.empty());
            const bool by_database =
                refused.err.find("disk of the state directory is full") != std::string::npos;
            const bool later = refused.err.find("No space left on device") != std::string::npos;
            CHECK((by_database || later));
            CHECK(refused.err.find("Try: df -h") != std::string::npos);
            CHECK(refused.exit_code == 74);
            refused_by_database += by_database;
            if (left == 0) check_told_over_tcp(home);
            CHECK(eventually([&] { return count_in(home.path() + "/backends") == 1; }));
        } else {
            home.output_of({"terminate", "--hard", "--key", home.own_key("new")});
        }
        check_held();
        CHECK(processes_with("SESSION_BACKEND_KEY=" + home.own_key("new")).empty());
        disk.free();
        const RunResult again = connect_new("new");
        INFO(again.err);
        CHECK(again.exit_code == 0);
        home.output_of({"terminate", "--hard", "--key", home.own_key("new")});
    }
    CHECK(refused_by_database > 0);

    // How a backend ended is told also while it can't be recorded.
    const auto brief = home.connect({.key = Key::parse(home.own_key("brief")).value()}).value();
    disk.fill(0);
    ::kill(*home.backend(brief.backend_id).pid, SIGKILL);
    CHECK(eventually([&] {
        return home.backend(brief.backend_id).statuses.back().status == Status::terminated;
    }));
    disk.free();

    // A worker that crashes on a full disk is followed by another, and URLs answer again.
    disk.fill(0);
    const pid_t worker = home.worker();
    ::kill(worker, SIGKILL);
    CHECK(eventually([&] { return home.worker() != 0 && home.worker() != worker; }));
    check_held();
    disk.free();

    // A backend can be ended on a full disk, and its key is free then.
    home.output_of({"connect", "--key", home.own_key("new")});
    disk.fill(0);
    home.output_of({"terminate", "--key", home.own_key("new")});
    check_held();
    disk.free();
    home.output_of({"connect", "--key", home.own_key("new")});
    kill_daemon(home);
    home.output_of({"list"});
    CHECK(home.keys().size() == 2);
}

TEST_CASE("while another program has the database locked, new keys are told to come later") {
    const Bystander bystander;
    const Home& home = bystander.home;
    const std::string database = home.path() + "/jamsock.db";
    SQLite::Database other(database, SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    const auto answer = home.client()->Post("/v2/service/local/default/connect",
                                            R"({"key":"new","wait":false})", "application/json");
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(answer->get_header_value("Retry-After") == "1");
    CHECK(error_from_json(answer->body, 503).code == ErrorCode::store_busy);
    check_refused(home.jamsock({"connect", "--key", "new"}), 75, {"has the daemon's database locked"},
                  "fuser -v " + database);
    other.exec("ROLLBACK");
    home.output_of({"connect", "--key", "new"});
}

TEST_CASE("a daemon isn't started on a full disk, and is once there is space") {
    auto made = std::make_unique<Home>();
    const SmallDisk disk(made->path(), "1m");
    const std::unique_ptr<Home> ends_before_the_disk = std::move(made);
    const Home& home = *ends_before_the_disk;
    if (!disk.is_mounted()) {
        MESSAGE("skipped: no right to mount a file system");
        return;
    }
    overwrite(home.path() + "/start.lock", "");
    overwrite(home.path() + "/jamsockd.log", "");
    for (const std::uintmax_t left : {0, 4096, 16384, 32768}) {
        CAPTURE(left);
        disk.fill(left);
        const RunResult refused = home.jamsock({"connect", "--key", "k"});
        INFO(refused.err);
        CHECK(refused.exit_code == 69);
        const bool told = refused.err.find("No space left on device") != std::string::npos ||
                          refused.err.find("the disk is full") != std::string::npos;
        CHECK(told);
        check_no_daemon(home.path());
        disk.free();
    }
    home.output_of({"connect", "--key", "k"});
}
