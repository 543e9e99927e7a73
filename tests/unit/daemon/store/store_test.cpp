#include "daemon/store/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/clock.h"
#include "daemon/store/schema.h"

using namespace jamsock;

namespace {

struct Directory {
    std::string path = "/tmp/jamsock-store-XXXXXX";
    Directory() { REQUIRE(::mkdtemp(path.data())); }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string database() const { return path + "/jamsock.db"; }
};

BackendRecord record(const char* id, const char* key, std::int64_t token = 100) {
    BackendRecord made{.id = BackendId::parse(id).value(),
                       .serial = std::hash<std::string>{}(id) >> 20,
                       .mac_key = MacKey::generate(),
                       .lock_name = std::string("lock-") + key,
                       .mark = "m",
                       .fencing_token = token,
                       .created_at = 5,
                       .command = {{"/bin/x", "", "two words"}, "/srv"},
                       .port = 12345};
    if (*key) made.key = Key::parse(key).value();
    return made;
}

ReadySign sign(ReadySign::Kind kind, const char* text) {
    return ReadySign::parse(kind, text, "").value();
}

constexpr StatusChange scheduled{.status = Status::scheduled, .time = 5};

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Every file's bytes, but for SQLite's index of the log: it is made anew by whoever opens the file.
std::map<std::string, std::string> contents_of(const std::string& directory) {
    std::map<std::string, std::string> contents;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        const std::string path = entry.path();
        contents[path] = path.ends_with("-shm") ? "" : bytes_of(path);
    }
    return contents;
}

// Runs `work` in a process that kills itself in the midst of it, so that nothing is closed.
template <class Work>
void in_killed_process(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        work();
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
}

std::vector<StatusEvent> all_events(const Store& store) {
    return store.events_after(0, 1000).value().events;
}

}  // namespace

TEST_CASE("a database that another one has locked is busy, and takes the same write later") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    SQLite::Database other(directory.database(), SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    const auto refused = store.acquire_key(record("b1", "k"), scheduled);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::store_busy);
    CHECK(refused.error().hint == "fuser -v " + directory.database());
    CHECK(told_to_others(refused.error()).message == refused.error().message);
    CHECK(told_to_others(refused.error()).hint.empty());
    other.exec("ROLLBACK");
    CHECK(store.acquire_key(record("b1", "k"), scheduled));
}

TEST_CASE("what can't be written is told with its cause, which is for the log alone") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    REQUIRE(store.acquire_key(record("abc12", "k"), scheduled));
    SQLite::Database(directory.database(), SQLite::OPEN_READWRITE).exec("DROP TABLE token");
    const BackendId id = BackendId::parse("abc12").value();
    const auto refused = store.remember_identity({id, "hash", 100}, {"ann", std::nullopt}, 1);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::internal);
    CHECK(refused.error().message == "The daemon's database could not be written.");
    CHECK(refused.error().cause == "remember_identity: no such table: token, SQLite code 1");
}

TEST_CASE("a backend comes back from the store as it went in") {
    Store store = Store::open(":memory:").value();
    BackendRecord in = record("b1", "k");
    in.tag = "blue";
    in.limits = LifeLimits({.max_idle = 0, .lifetime = 1, .grace = 2, .startup = 3});
    in.expires_at_boot = 77;
    in.readiness = {.sign = sign(ReadySign::Kind::path, "/up"), .listen_fd = true};
    in.allow_origins = OriginRule::strict;
    REQUIRE(store.acquire_key(in, scheduled));
    const auto out = store.find_backend(in.id).value();
    CHECK(out.serial == in.serial);
    CHECK(out.mac_key.reveal() == in.mac_key.reveal());
    CHECK(out.key == in.key);
    CHECK(out.lock_name == in.lock_name);
    CHECK(out.mark == in.mark);
    CHECK(out.fencing_token == in.fencing_token);
    CHECK(out.created_at == in.created_at);
    CHECK(out.tag == in.tag);
    CHECK(out.command == in.command);
    CHECK(out.port == in.port);
    CHECK(out.limits == in.limits);
    CHECK(out.readiness == in.readiness);
    CHECK(out.allow_origins == in.allow_origins);
    CHECK(out.expires_at_boot == in.expires_at_boot);
    CHECK(store.statuses(in.id) == std::vector{scheduled});
}

TEST_CASE("a held key can't be acquired again until its backend has ended") {
    Store store = Store::open(":memory:").value();
    REQUIRE(store.acquire_key(record("b1", "k", 100), scheduled));
    const auto second = store.acquire_key(record("b2", "k", 200), scheduled);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::conflict);
    CHECK_FALSE(store.find_backend(BackendId::parse("b2").value()));
    CHECK(store.last_fencing_token("lock-k") == 100);

    REQUIRE(store.record_status(BackendId::parse("b1").value(), {.status = Status::terminated}));
    CHECK(store.acquire_key(record("b2", "k", 200), scheduled));
    CHECK(store.last_fencing_token("lock-k") == 200);
}

TEST_CASE("a fencing token never falls, and outlives its backend") {
    Store store = Store::open(":memory:").value();
    REQUIRE(store.acquire_key(record("b1", "k", 500), scheduled));
    REQUIRE(store.record_status(BackendId::parse("b1").value(), {.status = Status::terminated}));
    REQUIRE(store.acquire_key(record("b2", "k", 400), scheduled));
    CHECK(store.last_fencing_token("lock-k") == 500);
    CHECK(store.last_fencing_token("lock-other") == 0);
}

TEST_CASE("a row with a number that is no fencing token is not believed, and is mended") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    SQLite::Database database(directory.database(), SQLite::OPEN_READWRITE);
    database.exec(
        "INSERT INTO fencing VALUES ('floor', 9007199254740992), ('lock-k', 9223372036854775807)");
    CHECK(store.last_fencing_token("lock-k") == 0);
    REQUIRE(store.acquire_key(record("b1", "k", 100), scheduled));
    CHECK(store.last_fencing_token("lock-k") == 100);
}

TEST_CASE("forgotten fencing tokens live on in the floor under all locks") {
    Store store = Store::open(":memory:").value();
    for (int i = 1; i <= 5; ++i) {
        const std::string name = std::to_string(i);
        REQUIRE(store.acquire_key(record(name.c_str(), name.c_str(), 100 * i), scheduled));
    }
    CHECK(store.forget_fencing_tokens(99, 10).value() == 0);
    CHECK(store.last_fencing_token("lock-never used") == 0);
    CHECK(store.forget_fencing_tokens(400, 3).value() == 3);
    CHECK(store.forget_fencing_tokens(400, 3).value() == 1);
    CHECK(store.forget_fencing_tokens(400, 3).value() == 0);
    CHECK(store.last_fencing_token("lock-1") == 400);
    CHECK(store.last_fencing_token("lock-5") == 500);
    CHECK(store.forget_fencing_tokens(300, 3).value() == 0);
    CHECK(store.last_fencing_token("lock-1") == 400);
}

TEST_CASE("the history of a backend is kept in order, with how it ended") {
    Store store = Store::open(":memory:").value();
    const BackendId id = BackendId::parse("b1").value();
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    const StatusChange end{.status = Status::terminated,
                           .time = 9,
                           .reason = TerminationReason::external,
                           .kind = TerminationKind::hard,
                           .exit = ProcessExit{std::nullopt, 9}};
    REQUIRE(store.record_status(id, {.status = Status::ready, .time = 7}));
    CHECK(store.live_backends().value().size() == 1);
    REQUIRE(store.record_status(id, end));
    CHECK(store.live_backends().value().empty());
    const auto history = store.statuses(id);
    REQUIRE(history.size() == 3);
    CHECK(history[1] == StatusChange{.status = Status::ready, .time = 7});
    CHECK(history[2] == end);
}

TEST_CASE("ended backends are forgotten from a time on, the first that ended at first") {
    Store store = Store::open(":memory:").value();
    const auto id = [](const char* text) { return BackendId::parse(text).value(); };
    for (const auto& [name, time] : {std::pair{"b1", 30}, {"b2", 10}, {"b3", 20}, {"b4", 40}}) {
        REQUIRE(store.acquire_key(record(name, name), scheduled));
        REQUIRE(store.record_status(id(name), {.status = Status::terminated, .time = time}));
    }
    REQUIRE(store.acquire_key(record("live", "live"), scheduled));
    CHECK(store.forget_ended(10, 10).value().empty());
    CHECK(store.forget_ended(40, 2).value().size() == 2);
    CHECK_FALSE(store.find_backend(id("b2")));
    CHECK_FALSE(store.find_backend(id("b3")));
    CHECK(store.forget_ended(40, 2).value() == std::vector{id("b1")});
    CHECK(store.forget_ended(INT64_MAX, 10).value() == std::vector{id("b4")});
    CHECK(store.live_backends().value().size() == 1);
    // Its key's token is remembered still.
    CHECK(store.last_fencing_token("lock-b1") == 100);
}

TEST_CASE("what was committed is there for the next who opens the file") {
    const Directory directory;
    {
        Store store = Store::open(directory.database()).value();
        REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    }
    const Store again = Store::open(directory.database()).value();
    CHECK(again.live_backends().value().size() == 1);
}

TEST_CASE("a file that is no database of ours is refused and left as it is") {
    const Directory directory;
    SUBCASE("garbage") {
        std::ofstream(directory.database()) << std::string(5000, 'x');
    }
    SUBCASE("a newer version's") {
        Store::open(directory.database()).value();
        // user_version is the big-endian number at byte 60 of the header.
        std::fstream file(directory.database(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(60);
        file.write("\x00\x00\x00\x63", 4);
    }
    SUBCASE("another program's") {
        Store::open(directory.database()).value();
        // application_id is the one at byte 68.
        std::fstream file(directory.database(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(68);
        file.write("\x00\x00\x00\x07", 4);
    }
    const std::string before = bytes_of(directory.database());
    const auto opened = Store::open(directory.database());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::daemon_unavailable);
    CHECK(bytes_of(directory.database()) == before);
}

TEST_CASE("a refused file keeps the log of a writer that was killed, too") {
    const Directory directory;
    SUBCASE("newer by its own header") {
        static_cast<void>(Store::open(directory.database()).value());
        in_killed_process([&] {
            Store store = Store::open(directory.database()).value();
            if (!store.acquire_key(record("b1", "k"), scheduled)) return;
            ::raise(SIGKILL);
        });
        std::fstream file(directory.database(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(60);
        file.write("\x00\x00\x00\x63", 4);
    }
    SUBCASE("newer by its log alone") {
        in_killed_process([&] {
            static_cast<void>(Store::open(directory.database()).value());
            SQLite::Database database(directory.database(), SQLite::OPEN_READWRITE);
            database.exec("PRAGMA user_version=99");
            ::raise(SIGKILL);
        });
    }
    REQUIRE(std::filesystem::file_size(directory.database() + "-wal") > 0);
    const auto before = contents_of(directory.path);
    const auto opened = Store::open(directory.database());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message.find("newer version") != std::string::npos);
    CHECK(contents_of(directory.path) == before);
}

TEST_CASE("a file that can't be written, or is a directory, is refused and left as it is") {
    const Directory directory;
    SUBCASE("a directory") {
        std::filesystem::create_directory(directory.database());
        const auto opened = Store::open(directory.database());
        REQUIRE_FALSE(opened);
        CHECK(opened.error().message.find("is a directory") != std::string::npos);
        CHECK(std::filesystem::is_empty(directory.database()));
    }
    SUBCASE("read-only") {
        if (::geteuid() == 0) {
            MESSAGE("skipped: root may write any file");
            return;
        }
        static_cast<void>(Store::open(directory.database()).value());
        std::filesystem::permissions(directory.database(), std::filesystem::perms::owner_read);
        const auto before = contents_of(directory.path);
        const auto opened = Store::open(directory.database());
        REQUIRE_FALSE(opened);
        CHECK(opened.error().message.find("can't be written") != std::string::npos);
        CHECK(opened.error().hint == "chmod 600 " + directory.database());
        CHECK(contents_of(directory.path) == before);
    }
}

TEST_CASE("an empty file is a new database, whatever a lost one left beside it") {
    const Directory directory;
    in_killed_process([&] {
        Store store = Store::open(directory.database()).value();
        if (!store.acquire_key(record("b1", "k"), scheduled)) return;
        ::raise(SIGKILL);
    });
    std::filesystem::resize_file(directory.database(), 0);
    Store store = Store::open(directory.database()).value();
    CHECK(store.live_backends().value().empty());
    CHECK(store.acquire_key(record("b2", "k"), scheduled));
}

TEST_CASE("a path with signs that mean something in a URI names the file itself") {
    Directory directory;
    const std::string odd = directory.path + "/50% ?a#b";
    std::filesystem::create_directory(odd);
    {
        Store store = Store::open(odd + "/jamsock.db").value();
        REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    }
    CHECK(Store::open(odd + "/jamsock.db").value().live_backends().value().size() == 1);
    std::ofstream(odd + "/garbage.db") << std::string(5000, 'x');
    CHECK_FALSE(Store::open(odd + "/garbage.db"));
}

TEST_CASE("no key is given once the file was deleted or replaced under the daemon") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    std::filesystem::remove(directory.database());
    const auto refused = store.acquire_key(record("b2", "l"), scheduled);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().hint == "jamsock daemon restart");
    CHECK(told_to_others(refused.error()).message == refused.error().message);
}

// A stranger's file takes the path's place again and again while it is opened.
TEST_CASE("a file that was replaced while it was opened grants no key") {
    const Directory directory;
    const std::string other = directory.path + "/other.db";
    { Store::open(directory.database()).value(); }
    std::filesystem::copy_file(directory.database(), other);
    const auto inode = [](const std::string& path) {
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        return status.st_ino;
    };
    const auto opened_inodes = [&] {
        std::set<ino_t> inodes;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            struct stat status {};
            if (::stat(entry.path().c_str(), &status) == 0) inodes.insert(status.st_ino);
        }
        return inodes;
    };
    int replaced = 0;
    for (int round = 0; round < 300 && replaced < 5; ++round) {
        std::atomic<bool> done = false;
        std::thread swapping([&] {
            while (!done) {
                ::renameat2(AT_FDCWD, other.c_str(), AT_FDCWD, directory.database().c_str(),
                            RENAME_EXCHANGE);
            }
        });
        auto store = Store::open(directory.database());
        done = true;
        swapping.join();
        if (!store || opened_inodes().contains(inode(directory.database()))) continue;
        ++replaced;
        CHECK_FALSE(store->is_in_place());
    }
    CHECK(replaced > 0);
}

TEST_CASE("an identity is remembered until it expires") {
    Store store = Store::open(":memory:").value();
    const std::string hash(32, 'h');
    REQUIRE(
        store.remember_identity({BackendId::parse("b1").value(), hash, 200}, {"ann", "{}"}, 100));
    const auto found = store.identity(hash, 199);
    REQUIRE(found);
    CHECK(found->user == "ann");
    CHECK(found->auth == "{}");
    CHECK_FALSE(store.identity(hash, 200));
    CHECK_FALSE(store.identity(std::string(32, 'i'), 100));
}

TEST_CASE("of a user's tokens those are revoked that have not expired, of that backend alone") {
    Store store = Store::open(":memory:").value();
    const BackendId b1 = BackendId::parse("b1").value();
    const BackendId b2 = BackendId::parse("b2").value();
    const auto issue = [&](const BackendId& backend, char hash, const char* user,
                           std::int64_t expires_at) {
        REQUIRE(
            store.remember_identity({backend, std::string(32, hash), expires_at}, {user, {}}, 100));
    };
    issue(b1, 'a', "ann", 200);
    issue(b1, 'b', "ann", 300);
    issue(b1, 'c', "bob", 300);
    issue(b2, 'd', "ann", 300);
    REQUIRE(store.remember_identity({b1, std::string(32, 'e'), 300}, {{}, "{}"}, 100));
    CHECK(store.revoke_user(b1, "ann", 200).value() == std::vector{std::string(32, 'b')});
    CHECK(store.revoke_user(b1, "ann", 200).value().empty());
    CHECK(store.revoke_user(b1, "nobody", 200).value().empty());
    const auto revoked = store.revoked(200).value();
    CHECK(revoked.size() == 1);
    CHECK(revoked.at(b1) == std::vector{std::string(32, 'b')});
}

TEST_CASE("a revoked token is remembered until it expires, also by the next who opens the file") {
    const Directory directory;
    const BackendId b1 = BackendId::parse("b1").value();
    const std::string one(32, 'x');
    const std::string other(32, 'y');
    {
        Store store = Store::open(directory.database()).value();
        CHECK(store.revoke({b1, one, 200}).value() == 1);
        CHECK(store.revoke({b1, one, 200}).value() == 0);
        CHECK(store.revoke({b1, other, 300}).value() == 1);
    }
    Store store = Store::open(directory.database()).value();
    CHECK(store.revoked(199).value().at(b1) == std::vector{one, other});
    CHECK(store.revoked(200).value().at(b1) == std::vector{other});
    CHECK(store.forget_revoked(199, 10).value() == 0);
    CHECK(store.forget_revoked(300, 1).value() == 1);
    CHECK(store.forget_revoked(300, 1).value() == 1);
    CHECK(store.forget_revoked(300, 1).value() == 0);
    CHECK(store.revoked(0).value().empty());
}

TEST_CASE("nothing is revoked in a file that was deleted or replaced: it would be forgotten") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    std::filesystem::remove(directory.database());
    const BackendId b1 = BackendId::parse("b1").value();
    CHECK(store.revoke({b1, std::string(32, 'x'), 200}).error().hint == "jamsock daemon restart");
    CHECK(store.revoke_user(b1, "ann", 100).error().hint == "jamsock daemon restart");
}

TEST_CASE("a checkpoint folds the log into the file") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    const auto size_before = std::filesystem::file_size(directory.database());
    Store::checkpoint(directory.database());
    CHECK(std::filesystem::file_size(directory.database()) > size_before);
}

TEST_CASE("services come back as they went in, and go one by one or with their environments") {
    Store store = Store::open(":memory:").value();
    const auto name = [](const char* text) { return ServiceName::parse(text).value(); };
    const Store::ServiceRow editor{name("editor"),
                                   5,
                                   {.command = Command{{"/bin/x", ""}, "/srv"},
                                    .base_environment = {{"PATH", ""}},
                                    .env = {{"A", "b=c"}},
                                    .limits = {.lifetime = 9},
                                    .readiness = {.sign = sign(ReadySign::Kind::log, "up"),
                                                  .listen_fd = false,
                                                  .port_owner = PortRule::any},
                                    .allow_origins = OriginRule::strict}};
    REQUIRE(store.record_service(editor));
    REQUIRE(store.record_service({name("editor/staging"), 6, {}}));
    REQUIRE(store.record_service({name("viewer"), 7, {}}));
    REQUIRE(store.services().value().size() == 3);
    CHECK(store.services().value()[0].definition == editor.definition);
    CHECK(store.services().value()[0].created_at == 5);
    CHECK(store.services().value()[1].definition == ServiceDefinition{});

    REQUIRE(store.record_service({name("editor/staging"), 6, {.env = {{"B", ""}}}}));
    CHECK(store.services().value()[1].definition.env == EnvironmentMap{{"B", ""}});
    REQUIRE(store.remove_service(name("editor/staging")));
    CHECK(store.services().value().size() == 2);
    REQUIRE(store.record_service({name("editor/staging"), 6, {}}));
    REQUIRE(store.remove_service(name("editor")));
    REQUIRE(store.services().value().size() == 1);
    CHECK(store.services().value()[0].name == name("viewer"));
}

TEST_CASE("a stored sign of readiness comes back as it is, without a look at it") {
    const Directory directory;
    const Store::ServiceRow editor{ServiceName::parse("editor").value(),
                                   5,
                                   {.readiness = {.sign = sign(ReadySign::Kind::log, "up")}}};
    REQUIRE(Store::open(directory.database()).value().record_service(editor));
    {
        SQLite::Database database(directory.database(), SQLite::OPEN_READWRITE);
        database.exec("UPDATE service SET ready_sign = '(((a{1,100}){1,100}){1,100}'");
    }
    const auto services = Store::open(directory.database()).value().services().value();
    REQUIRE(services.size() == 1);
    REQUIRE(services[0].definition.readiness.sign);
    CHECK(services[0].definition.readiness.sign->text() == "(((a{1,100}){1,100}){1,100}");
}

TEST_CASE("the last start of a service is its newest backend's") {
    Store store = Store::open(":memory:").value();
    CHECK_FALSE(store.last_spawned_at(ServiceName::standard()));
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    CHECK(store.last_spawned_at(ServiceName::standard()) == 5);
    CHECK_FALSE(store.last_spawned_at(ServiceName::parse("default/other").value()));
}

TEST_CASE("a database of the first version is brought up to date, after a copy") {
    const Directory directory;
    {
        SQLite::Database old(directory.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        old.exec(schema::steps[0]);
        old.exec(
            "INSERT INTO backend VALUES ('b1', 7, zeroblob(32), 'local', 'default', 'default', "
            "'k', 'lock', 'm', 100, 5, NULL, CAST('/bin/x' || char(0) AS BLOB), '/srv', 12345, 0);"
            "INSERT INTO held_key VALUES ('local', 'default', 'k', 'b1');"
            "PRAGMA user_version=1;");
        old.exec("PRAGMA application_id=" + std::to_string(schema::application_id));
    }
    const std::string before = bytes_of(directory.database());
    const Store store = Store::open(directory.database()).value();
    const auto live = store.live_backends().value();
    REQUIRE(live.size() == 1);
    CHECK(live[0].command == Command{{"/bin/x"}, "/srv"});
    CHECK(live[0].limits == LifeLimits());
    CHECK_FALSE(live[0].expires_at_boot);
    CHECK(store.services().value().empty());
    CHECK(std::filesystem::file_size(directory.database() + ".v1") == before.size());
}

TEST_CASE("a database of the third version is brought up to date, and its users can be revoked") {
    const Directory directory;
    {
        SQLite::Database old(directory.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        for (int step = 0; step < 3; ++step)
            old.exec(schema::steps[static_cast<std::size_t>(step)]);
        old.exec(
            "INSERT INTO token VALUES (zeroblob(32), 'ann', NULL, 200); PRAGMA user_version=3");
        old.exec("PRAGMA application_id=" + std::to_string(schema::application_id));
    }
    Store store = Store::open(directory.database()).value();
    CHECK(store.identity(std::string(32, '\0'), 100)->user == "ann");
    const BackendId any = BackendId::parse("b1").value();
    CHECK(store.revoke_user(any, "ann", 100).value() == std::vector{std::string(32, '\0')});
    CHECK(std::filesystem::exists(directory.database() + ".v3"));
}

TEST_CASE("a database of the fourth version is brought up to date; what runs allows all origins") {
    const Directory directory;
    {
        SQLite::Database old(directory.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        for (int step = 0; step < 4; ++step)
            old.exec(schema::steps[static_cast<std::size_t>(step)]);
        old.exec(
            "INSERT INTO backend VALUES ('b1', 7, zeroblob(32), 'local', 'default', 'default', "
            "'k', 'lock', 'm', 100, 5, NULL, CAST('/bin/x' || char(0) AS BLOB), '/srv', 12345, 0, "
            "1, 2, 3, 4, 5, NULL, NULL, NULL, NULL);"
            "INSERT INTO service VALUES ('local', 'editor', 'default', 6, NULL, NULL, x'', x'', "
            "NULL, NULL, 7, NULL, NULL, NULL, NULL, NULL);"
            "PRAGMA user_version=4;");
        old.exec("PRAGMA application_id=" + std::to_string(schema::application_id));
    }
    const Store store = Store::open(directory.database()).value();
    REQUIRE(store.live_backends().value().size() == 1);
    CHECK(store.live_backends().value()[0].allow_origins == OriginRule::any);
    REQUIRE(store.services().value().size() == 1);
    CHECK(store.services().value()[0].definition == ServiceDefinition{.limits = {.grace = 7}});
    CHECK(std::filesystem::exists(directory.database() + ".v4"));
}

TEST_CASE("a database of the second version is brought up to date, after a copy") {
    const Directory directory;
    {
        SQLite::Database old(directory.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        old.exec(schema::steps[0]);
        old.exec(schema::steps[1]);
        old.exec(
            "INSERT INTO backend VALUES ('b1', 7, zeroblob(32), 'local', 'default', 'default', "
            "'k', 'lock', 'm', 100, 5, NULL, CAST('/bin/x' || char(0) AS BLOB), '/srv', 12345, 0, "
            "1, 2, 3, 4, 5);"
            "INSERT INTO service VALUES ('local', 'editor', 'default', 6, NULL, NULL, x'', x'', "
            "NULL, NULL, 7, NULL);"
            "PRAGMA user_version=2;");
        old.exec("PRAGMA application_id=" + std::to_string(schema::application_id));
    }
    const std::string before = bytes_of(directory.database());
    const Store store = Store::open(directory.database()).value();
    const auto live = store.live_backends().value();
    REQUIRE(live.size() == 1);
    CHECK(live[0].limits == LifeLimits({.max_idle = 1, .lifetime = 2, .grace = 3, .startup = 4}));
    CHECK(live[0].readiness == ReadinessRule{});
    REQUIRE(store.services().value().size() == 1);
    CHECK(store.services().value()[0].definition == ServiceDefinition{.limits = {.grace = 7}});
    CHECK(std::filesystem::file_size(directory.database() + ".v2") == before.size());
}

TEST_CASE("a database of the fifth version is brought up to date, its statuses get one order") {
    const Directory directory;
    {
        SQLite::Database old(directory.database(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        for (int step = 0; step < 5; ++step)
            old.exec(schema::steps[static_cast<std::size_t>(step)]);
        for (const char* id : {"b1", "b2"}) {
            old.exec(std::string("INSERT INTO backend VALUES ('") + id + "', " + (id + 1) +
                     ", zeroblob(32), 'local', 'default', 'default', NULL, 'lock', 'm', 100, 5, "
                     "NULL, CAST('/bin/x' || char(0) AS BLOB), '/srv', 12345, 0, "
                     "1, 2, 3, 4, 5, NULL, NULL, NULL, NULL, 0)");
        }
        // Two at one time, and one for which the clock was set back.
        old.exec(
            "INSERT INTO backend_status (backend, status, time) VALUES ('b1', 0, 1000), "
            "('b1', 1, 1001), ('b1', 4, 5000), ('b1', 7, 20), ('b2', 0, 1001), ('b2', 1, 1001);"
            "PRAGMA user_version=5;");
        old.exec("PRAGMA application_id=" + std::to_string(schema::application_id));
    }
    Store store = Store::open(directory.database()).value();
    std::vector<std::pair<std::string, std::int64_t>> order;
    for (const StatusEvent& event : all_events(store))
        order.emplace_back(event.backend_id.str() + " " + std::string(word(event.change.status)),
                           event.cursor);
    CHECK(order == std::vector<std::pair<std::string, std::int64_t>>{{"b1 scheduled", 1000},
                                                                     {"b1 loading", 1001},
                                                                     {"b2 scheduled", 1002},
                                                                     {"b2 loading", 1003},
                                                                     {"b1 ready", 5000},
                                                                     {"b1 terminated", 5001}});
    CHECK(store.last_event() == 5001);
    REQUIRE(store.record_status(BackendId::parse("b2").value(), {.status = Status::ready}));
    CHECK(all_events(store).back().cursor > 5001);
    CHECK(std::filesystem::exists(directory.database() + ".v5"));
}

TEST_CASE("what explains an end comes back as it went in") {
    Store store = Store::open(":memory:").value();
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    const StatusChange end{.status = Status::terminated,
                           .time = 6,
                           .reason = TerminationReason::swept,
                           .kind = TerminationKind::soft,
                           .exit = ProcessExit{0, std::nullopt},
                           .cause = EndCause::lifetime,
                           .diagnosis = "Its time was up."};
    REQUIRE(store.record_status(BackendId::parse("b1").value(), end));
    CHECK(store.statuses(BackendId::parse("b1").value()).back() == end);
    CHECK(all_events(store).back().change == end);
}

TEST_CASE("events have one order, with cursors that grow and lead on") {
    Store store = Store::open(":memory:").value();
    const std::int64_t begin = wall_milliseconds();
    CHECK(store.last_event() == 0);
    for (const char* id : {"b1", "b2", "b3"}) {
        REQUIRE(store.acquire_key(record(id, id), scheduled));
        REQUIRE(store.record_status(BackendId::parse(id).value(), {.status = Status::ready}));
    }
    const auto all = all_events(store);
    REQUIRE(all.size() == 6);
    CHECK(all[0].cursor >= begin);
    for (std::size_t i = 1; i < all.size(); ++i)
        CHECK(all[i].cursor > all[i - 1].cursor);
    CHECK(all[2].backend_id.str() == "b2");
    CHECK(all[2].key == Key::parse("b2").value());
    CHECK(all[2].change == scheduled);
    CHECK(store.last_event() == all[5].cursor);
    const auto some = store.events_after(all[1].cursor, 2).value().events;
    REQUIRE(some.size() == 2);
    CHECK(some[0].cursor == all[2].cursor);
    CHECK(some[1].cursor == all[3].cursor);
    CHECK(store.events_after(all[5].cursor, 2)->events.empty());
    CHECK(store.events_after(all[5].cursor, 2)->cursor == all[5].cursor);
}

TEST_CASE("cursors grow over restarts, also where the clock is behind them") {
    const Directory directory;
    { REQUIRE(Store::open(directory.database())->acquire_key(record("b1", "k"), scheduled)); }
    constexpr std::int64_t far = 9'000'000'000'000;
    {
        SQLite::Database database(directory.database(), SQLite::OPEN_READWRITE);
        database.exec("UPDATE backend_status SET seq = " + std::to_string(far));
    }
    Store store = Store::open(directory.database()).value();
    CHECK(store.last_event() == far);
    REQUIRE(store.record_status(BackendId::parse("b1").value(), {.status = Status::ready}));
    CHECK(all_events(store).back().cursor == far + 1);
}

TEST_CASE("cursors grow over restarts, also when all events were forgotten") {
    const Directory directory;
    constexpr std::int64_t far = 9'000'000'000'000;
    const BackendId b1 = BackendId::parse("b1").value();
    {
        Store store = Store::open(directory.database()).value();
        REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
        SQLite::Database(directory.database(), SQLite::OPEN_READWRITE, 1000)
            .exec("UPDATE backend_status SET seq = " + std::to_string(far));
    }
    {
        Store store = Store::open(directory.database()).value();
        REQUIRE(store.record_status(b1, {.status = Status::terminated, .time = 10}));
        CHECK(store.forget_ended(11, 10).value() == std::vector{b1});
        CHECK(all_events(store).empty());
    }
    Store store = Store::open(directory.database()).value();
    CHECK(store.last_event() == far + 1);
    REQUIRE(store.acquire_key(record("b2", "k", 200), scheduled));
    CHECK(all_events(store).front().cursor == far + 2);
}

TEST_CASE("cursors grow beyond rows that another writer put into the open file") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    REQUIRE(store.acquire_key(record("b1", "k"), scheduled));
    SQLite::Database(directory.database(), SQLite::OPEN_READWRITE, 1000)
        .exec("UPDATE backend_status SET seq = seq + 1000000000000");
    const std::int64_t theirs = all_events(store).back().cursor;
    REQUIRE(store.record_status(BackendId::parse("b1").value(), {.status = Status::ready}));
    CHECK(all_events(store).back().cursor == theirs + 1);
    CHECK(store.last_event() == theirs + 1);
}

TEST_CASE("a database whose last event can't be read is not opened") {
    const Directory directory;
    { Store::open(directory.database()).value(); }
    SQLite::Database(directory.database(), SQLite::OPEN_READWRITE).exec("DROP TABLE event_floor");
    const auto refused = Store::open(directory.database());
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::daemon_unavailable);
}

TEST_CASE("an event whose row makes no sense is passed over, and the cursor goes on behind it") {
    const Directory directory;
    Store store = Store::open(directory.database()).value();
    for (const char* id : {"b1", "b2"})
        REQUIRE(store.acquire_key(record(id, id), scheduled));
    const auto all = all_events(store);
    REQUIRE(all.size() == 2);
    SQLite::Database(directory.database(), SQLite::OPEN_READWRITE, 1000)
        .exec("UPDATE backend SET service = '/' WHERE id = 'b1'");
    const auto page = store.events_after(0, 1).value();
    CHECK(page.events.empty());
    CHECK(page.cursor == all[0].cursor);
    CHECK(store.events_after(page.cursor, 1)->events.size() == 1);
}

TEST_CASE("events are forgotten with their backends; an old cursor begins at what is left") {
    Store store = Store::open(":memory:").value();
    for (const char* id : {"b1", "b2"}) {
        REQUIRE(store.acquire_key(record(id, id), scheduled));
        REQUIRE(store.record_status(BackendId::parse(id).value(),
                                    {.status = Status::terminated, .time = 10}));
    }
    CHECK(store.forget_ended(11, 1)->size() == 1);
    const auto left = store.events_after(1, 1000).value().events;
    REQUIRE(left.size() == 2);
    CHECK(left[0].backend_id == left[1].backend_id);
}

TEST_CASE("the backends of a key are told newest first, whatever their times, and no others") {
    Store store = Store::open(":memory:").value();
    const auto lived = [&](BackendRecord backend) {
        REQUIRE(store.acquire_key(backend, scheduled));
        REQUIRE(store.record_status(backend.id, {.status = Status::terminated}));
    };
    for (const auto& [id, token] : {std::pair{"b1", 100}, {"b3", 300}, {"b2", 200}})
        lived(record(id, "k", token));
    lived(record("other", "k2", 400));
    BackendRecord staging = record("env", "k", 50);
    staging.service = ServiceName::parse("default/staging").value();
    lived(staging);
    BackendRecord elsewhere = record("else", "k", 500);
    elsewhere.service = ServiceName::parse("editor").value();
    lived(elsewhere);

    const auto ids = [&](std::size_t most) {
        std::string text;
        const Key key = Key::parse("k").value();
        const auto backends = store.backends_of(ServiceName::standard(), key, most).value();
        for (const BackendRecord& backend : backends)
            text += backend.id.str() + " ";
        return text;
    };
    CHECK(ids(1000) == "b3 b2 b1 env ");
    CHECK(ids(2) == "b3 b2 ");
}
