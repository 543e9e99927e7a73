#include "daemon/shim/record.h"

#include <doctest/doctest.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
using test::TemporaryDirectory;

namespace {

constexpr std::streamoff stage_size = 512;

// Spoils one byte of a stage's payload, as a torn write would.
void tear_stage(const std::string& path, int stage) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const std::streamoff offset = stage * stage_size + 14;
    file.seekg(offset);
    const char byte = static_cast<char>(file.get() ^ 0x20);
    file.seekp(offset);
    file.put(byte);
}

struct Fixture {
    TemporaryDirectory home;
    UniqueFd directory = home.open();
    std::optional<RecordWriter> writer = RecordWriter::create(directory.get());
    std::string file = home.path("record");

    Fixture() { REQUIRE(writer); }

    ShimRecord read() const {
        const auto record = read_record(directory.get());
        REQUIRE(record);
        return *record;
    }
};

}  // namespace

TEST_CASE("a directory without a record, or with one that never began, reads as none") {
    const TemporaryDirectory empty;
    CHECK(!read_record(empty.open().get()));
    const Fixture fixture;
    CHECK(!read_record(fixture.directory.get()));
}

TEST_CASE("a record gives back each stage as it was written") {
    Fixture fixture;
    CHECK(fixture.writer->begun("boot-1", 42, 99, 7));
    ShimRecord record = fixture.read();
    CHECK(record.boot_id == "boot-1");
    CHECK(record.shim_pid == 42);
    CHECK(record.shim_start_time == 99);
    CHECK(!record.started);
    CHECK(!record.ending);
    CHECK(!record.main_exited);
    CHECK(!record.tree_empty);

    CHECK(fixture.writer->started({43, 100}));
    CHECK(fixture.writer->ending({"soft", "swept", "idle"}));
    CHECK(fixture.writer->main_exited({.signal = 9,
                                       .user_microseconds = 1,
                                       .system_microseconds = 2,
                                       .max_rss_kib = 3,
                                       .dropped_log_bytes = 4}));
    record = fixture.read();
    CHECK(record.started->pid == 43);
    CHECK(record.started->start_time == 100);
    CHECK(record.ending->kind == "soft");
    CHECK(record.ending->reason == "swept");
    CHECK(record.ending->cause == "idle");
    CHECK(!record.main_exited->code);
    CHECK(record.main_exited->signal == 9);
    CHECK(record.main_exited->user_microseconds == 1);
    CHECK(record.main_exited->system_microseconds == 2);
    CHECK(record.main_exited->max_rss_kib == 3);
    CHECK(record.main_exited->dropped_log_bytes == 4);
    CHECK(record.dropped_log_bytes == 4);
    CHECK(!record.tree_empty);

    CHECK(fixture.writer->log_dropped(9));
    CHECK(fixture.read().dropped_log_bytes == 9);

    CHECK(fixture.writer->tree_empty());
    CHECK(fixture.read().tree_empty);
}

TEST_CASE("a hard ending replaces a soft one, and a torn hard one leaves it") {
    Fixture fixture;
    fixture.writer->begun("boot", 1, 1, 0);
    fixture.writer->ending({"soft", "swept"});
    fixture.writer->ending({"hard", "external"});
    CHECK(fixture.read().ending->kind == "hard");
    CHECK(fixture.read().ending->reason == "external");
    tear_stage(fixture.file, 3);
    CHECK(fixture.read().ending->kind == "soft");
    CHECK(fixture.read().ending->reason == "swept");
}

TEST_CASE("a torn stage reads as absent and spoils no other") {
    Fixture fixture;
    fixture.writer->begun("boot", 1, 1, 0);
    fixture.writer->started({2, 2});
    fixture.writer->main_exited({.code = 0});
    fixture.writer->tree_empty();
    REQUIRE(fixture.read().tree_empty);

    tear_stage(fixture.file, 5);
    CHECK(!fixture.read().tree_empty);
    CHECK(fixture.read().main_exited->code == 0);
    tear_stage(fixture.file, 4);
    CHECK(!fixture.read().main_exited);
    CHECK(fixture.read().started);
    tear_stage(fixture.file, 1);
    CHECK(!fixture.read().started);
    tear_stage(fixture.file, 0);
    CHECK(!read_record(fixture.directory.get()));
}

TEST_CASE("a stage copied to another's place is no stage") {
    Fixture fixture;
    fixture.writer->begun("boot", 1, 1, 0);
    fixture.writer->ending({"soft", "external"});
    std::string bytes = test::content_of(fixture.file);
    bytes.replace(3 * stage_size, stage_size, bytes, 2 * stage_size, stage_size);
    std::ofstream(fixture.file, std::ios::binary) << bytes;
    CHECK(fixture.read().ending->kind == "soft");
}

TEST_CASE("a record has its full size from the beginning") {
    const Fixture fixture;
    CHECK(std::filesystem::file_size(fixture.file) == 7 * stage_size);
    struct stat status {};
    REQUIRE(::stat(fixture.file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("a second record for the same backend is refused") {
    const Fixture fixture;
    CHECK(!RecordWriter::create(fixture.directory.get()));
    CHECK(errno == EEXIST);
}

TEST_CASE("a cut-off record reads as the stages it has") {
    Fixture fixture;
    fixture.writer->begun("boot", 1, 1, 0);
    fixture.writer->tree_empty();
    std::filesystem::resize_file(fixture.file, 5 * stage_size + 100);
    CHECK(fixture.read().shim_pid == 1);
    CHECK(!fixture.read().tree_empty);
}
