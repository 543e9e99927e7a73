#include "daemon/housekeeping.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "daemon/backends/key_lock.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t day = 24 * 60 * 60 * 1000;
constexpr std::int64_t now = 1'764'000'000'000;  // wall milliseconds

struct House {
    test::TemporaryDirectory state;
    BackendFiles files = BackendFiles::open(state.fd()).value();
    Store store = Store::open(":memory:").value();
    asio::io_context loop;
    HelperThread helper;
    std::unordered_set<std::string> locks_in_use;
    std::int64_t time = now;
    StoreWriter writer{store};
    Housekeeping housekeeping{store,
                              writer,
                              files,
                              helper,
                              {.history_life = std::chrono::days(30),
                               .locks_in_use = [this] { return locks_in_use; },
                               .pause = std::chrono::milliseconds(0),
                               .most_at_once = 3,
                               .now = [this] { return time; }}};

    void step() {
        asio::co_spawn(loop, housekeeping.step(), asio::detached);
        loop.restart();
        loop.run();
    }

    static BackendId id(int number) {
        return BackendId::parse("b" + std::to_string(number)).value();
    }
    std::string directory(int number) const { return state.path("history/" + id(number).str()); }
    bool has_directory(int number) const { return fs::exists(directory(number)); }
    bool has_row(int number) const { return store.find_backend(id(number)).has_value(); }

    BackendRecord start(int number) {
        const BackendRecord record{
            .id = id(number),
            .serial = static_cast<std::uint64_t>(number),
            .mac_key = MacKey::generate(),
            .lock_name = key_lock::file_name(ServiceName::standard(), std::to_string(number)),
            .mark = "m",
            .fencing_token = 100 + number,
            .created_at = 5,
            .command = {{"/bin/x"}, "/"},
            .port = 12345};
        REQUIRE(store.acquire_key(record, {.status = Status::scheduled, .time = 5}));
        return record;
    }
    void end(int number, std::int64_t at) {
        start(number);
        REQUIRE(store.record_status(id(number), {.status = Status::terminated, .time = at}));
        make_directory(number, at);
    }
    void make_directory(int number, std::int64_t at) const {
        fs::create_directory(directory(number));
        std::ofstream(directory(number) + "/output.log") << "last words";
        const timespec time_of_change{at / 1000, 0};
        const std::array times{time_of_change, time_of_change};
        REQUIRE(::utimensat(AT_FDCWD, directory(number).c_str(), times.data(), 0) == 0);
    }
};

}  // namespace

TEST_CASE("an ended backend is forgotten after its days and not before, its directory with it") {
    House house;
    house.end(1, now - 30 * day);
    house.step();
    CHECK(house.has_row(1));
    CHECK(house.has_directory(1));
    CHECK(house.store.statuses(House::id(1)).size() == 2);
    house.time += 1;
    house.step();
    CHECK_FALSE(house.has_row(1));
    CHECK_FALSE(house.has_directory(1));
    CHECK(house.store.statuses(House::id(1)).empty());
}

TEST_CASE("a backend that lives is never forgotten") {
    House house;
    const BackendRecord record = house.start(1);
    house.files.create(record).value();
    house.time += 1000 * day;
    house.step();
    CHECK(house.has_row(1));
    CHECK(fs::exists(house.state.path("backends/b1")));
}

TEST_CASE("revoked tokens are forgotten when they have expired, in small steps") {
    House house;
    const std::int64_t expired = now / 1000;
    for (char hash = 'a'; hash < 'a' + 5; ++hash)
        REQUIRE(house.store.revoke({House::id(1), std::string(32, hash), expired}));
    REQUIRE(house.store.revoke({House::id(1), std::string(32, 'z'), expired + 1}));
    const auto left = [&] { return house.store.revoked(0).value().at(House::id(1)).size(); };
    house.step();
    CHECK(left() == 3);
    house.step();
    house.step();
    CHECK(left() == 1);
}

TEST_CASE("the history is swept in small steps, the oldest first") {
    House house;
    for (int number = 1; number <= 7; ++number)
        house.end(number, now - 40 * day - number);
    const auto left = [&house] {
        int count = 0;
        for (int number = 1; number <= 7; ++number)
            count += house.has_row(number) ? 1 : 0;
        return count;
    };
    house.step();
    CHECK(left() == 4);
    CHECK_FALSE(house.has_row(7));
    house.step();
    CHECK(left() == 1);
    CHECK(house.has_row(1));
    house.step();
    CHECK(left() == 0);
    CHECK(fs::is_empty(house.state.path("history")));
}

TEST_CASE("an old directory that no row names goes, as a crash or a lost database leaves it") {
    House house;
    house.make_directory(1, now - 31 * day);
    house.make_directory(2, now - 29 * day);
    fs::create_directory(house.state.path("history/Not An Id"));
    house.end(3, now - day);
    house.make_directory(3, now - 40 * day);  // recovered late: its end is what counts
    for (int i = 0; i < 3; ++i)
        house.step();
    CHECK_FALSE(house.has_directory(1));
    CHECK(house.has_directory(2));
    CHECK(house.has_directory(3));
    CHECK(fs::exists(house.state.path("history/Not An Id")));
}

TEST_CASE("a row whose directory is gone goes, too") {
    House house;
    house.end(1, now - 31 * day);
    fs::remove_all(house.directory(1));
    house.step();
    CHECK_FALSE(house.has_row(1));
}

TEST_CASE("nothing outside the history is removed through a link in it") {
    House house;
    house.end(1, now - 31 * day);
    house.end(2, now - 31 * day);
    const test::TemporaryDirectory other;
    std::ofstream(other.path("file")) << "x";
    fs::create_directory_symlink(other.path(), house.directory(1) + "/link");
    fs::remove_all(house.directory(2));
    fs::create_directory_symlink(other.path(), house.directory(2));
    house.step();
    CHECK_FALSE(house.has_directory(1));
    CHECK(fs::exists(other.path("file")));
}

TEST_CASE("with its lock file a key's recorded token goes, once the floor stands for it") {
    House house;
    const BackendRecord used = house.start(1);
    const BackendRecord in_use = house.start(2);
    const BackendRecord later = house.start(3);
    for (const BackendRecord* record : {&used, &in_use}) {
        const std::string file = house.state.path("locks/" + record->lock_name);
        std::ofstream(file) << record->fencing_token << '\n';
        const timespec long_ago{now / 1000 - 2 * day / 1000, 0};
        const std::array times{long_ago, long_ago};
        REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times.data(), 0) == 0);
    }
    house.locks_in_use = {in_use.lock_name};
    house.step();
    CHECK_FALSE(fs::exists(house.state.path("locks/" + used.lock_name)));
    CHECK(fs::exists(house.state.path("locks/" + in_use.lock_name)));
    CHECK(key_lock::floor(house.files.locks()) == used.fencing_token);
    CHECK(house.store.forget_fencing_tokens(used.fencing_token, 100).value() == 0);
    CHECK(house.store.last_fencing_token(used.lock_name) == used.fencing_token);
    CHECK(house.store.last_fencing_token(in_use.lock_name) == in_use.fencing_token);
    CHECK(house.store.last_fencing_token(later.lock_name) == later.fencing_token);
}
