#include "daemon/backends/backend_files.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
using test::TemporaryDirectory;

namespace {

BackendRecord a_record() {
    BackendRecord record{
        .id = BackendId::parse("knrv5").value(),
        .serial = 0xABCDEF012345,
        .mac_key = MacKey::generate(),
        .key = Key::parse("näme with = and\nnewline").value(),
        .lock_name = "cafe",
        .mark = "0123",
        .fencing_token = 1764000000126,
        .created_at = 1764000000125,
        .tag = "blue",
        .command = {{"/bin/sh", "-c", "echo a=b", ""}, "/srv"},
        .port = 23456,
        .limits = LifeLimits({.max_idle = 0, .lifetime = 4, .grace = 5}),
        .readiness = {.sign =
                          ReadySign::parse(ReadySign::Kind::exec, "test -e 'a\nb' = c", "").value(),
                      .listen_fd = false,
                      .port_owner = PortRule::any},
        .allow_origins = OriginRule::strict,
        .expires_at_boot = 99};
    return record;
}

}  // namespace

TEST_CASE("a backend's record survives its file") {
    const BackendRecord in = a_record();
    const auto out = BackendRecord::decode(in.encode());
    REQUIRE(out);
    CHECK(out->id == in.id);
    CHECK(out->limits == in.limits);
    CHECK(out->readiness == in.readiness);
    CHECK(out->allow_origins == in.allow_origins);
    CHECK(out->expires_at_boot == in.expires_at_boot);
    CHECK(out->serial == in.serial);
    CHECK(out->mac_key.reveal() == in.mac_key.reveal());
    CHECK(out->service == in.service);
    CHECK(out->key == in.key);
    CHECK(out->lock_name == in.lock_name);
    CHECK(out->mark == in.mark);
    CHECK(out->fencing_token == in.fencing_token);
    CHECK(out->created_at == in.created_at);
    CHECK(out->tag == in.tag);
    CHECK(out->command == in.command);
    CHECK(out->port == in.port);
}

TEST_CASE("a record cut short is no record") {
    const std::string whole = a_record().encode();
    CHECK_FALSE(BackendRecord::decode(""));
    CHECK_FALSE(BackendRecord::decode(std::string_view(whole).substr(0, 20)));
    CHECK_FALSE(BackendRecord::decode("other\0id=knrv5\0"));
}

TEST_CASE("a live directory is found with what was written, and moves to history") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    const BackendRecord record = a_record();
    const UniqueFd directory = files.create(record).value();
    CHECK(files.live().value() == std::vector{record.id});
    const auto found = files.read(record.id).value();
    REQUIRE(found);
    CHECK(found->record.fencing_token == record.fencing_token);
    CHECK_FALSE(found->shim);
    CHECK_FALSE(found->ready);
    for (const bool is_ipv6 : {true, false}) {
        BackendFiles::mark_ready(directory.get(), {.is_ipv6 = is_ipv6});
        const auto marked = files.read(record.id).value();
        REQUIRE(marked->ready);
        CHECK(marked->ready->is_ipv6 == is_ipv6);
        CHECK_FALSE(marked->ready->listener);
    }
    for (const auto& listener :
         {std::optional(KnownListener{1000, 7}),
          std::optional(KnownListener{4294967294, 1ull << 62}), std::optional<KnownListener>()}) {
        BackendFiles::mark_ready(directory.get(), {.listener = listener});
        CHECK(files.read(record.id).value()->ready->listener == listener);
    }

    files.move_to_history(record.id);
    CHECK(files.live()->empty());
    CHECK_FALSE(files.read(record.id).value());
    CHECK(std::filesystem::exists(state.path() + "/history/knrv5/identity"));
}

TEST_CASE("an id can't be used for two directories") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    CHECK(files.create(a_record()));
    CHECK(files.create(a_record()).error().code == ErrorCode::spawn_failed);
}

TEST_CASE("the last lines of the output are given in order, live or ended") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    const BackendRecord record = a_record();
    files.create(record).value();
    CHECK(files.log_tail(record.id, 3).empty());
    std::ofstream log(state.path() + "/backends/knrv5/output.log");
    for (int line = 1; line <= 10000; ++line)
        log << "line " << line << '\n';
    log << "no newline at the end" << std::flush;
    const std::vector<std::string> wanted{"line 9999", "line 10000", "no newline at the end"};
    CHECK(files.log_tail(record.id, 3) == wanted);
    files.move_to_history(record.id);
    CHECK(files.log_tail(record.id, 3) == wanted);
}

TEST_CASE("the last lines are also those of a file that was just put aside") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    const BackendRecord record = a_record();
    files.create(record).value();
    std::ofstream(state.path() + "/backends/knrv5/output.log.1") << "one\ntwo\n" << std::flush;
    std::ofstream(state.path() + "/backends/knrv5/output.log") << "three\n" << std::flush;
    CHECK(files.log_tail(record.id, 2) == std::vector<std::string>{"two", "three"});
}

TEST_CASE("what was lost of the output is told, live or ended") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    const BackendRecord record = a_record();
    CHECK(files.dropped_log_bytes(record.id) == 0);
    const UniqueFd directory = files.create(record).value();
    CHECK(files.dropped_log_bytes(record.id) == 0);
    auto writer = RecordWriter::create(directory.get()).value();
    writer.begun("boot", 1, 1, 0);
    writer.log_dropped(17);
    CHECK(files.dropped_log_bytes(record.id) == 17);
    files.move_to_history(record.id);
    CHECK(files.dropped_log_bytes(record.id) == 17);
}

TEST_CASE("a mount is made for its owner alone, and kept as it is when it is there") {
    const TemporaryDirectory state;
    const auto files = BackendFiles::open(state.fd()).value();
    REQUIRE(files.make_mount("named/a/b"));
    namespace fs = std::filesystem;
    for (const char* path : {"mounts", "mounts/named", "mounts/named/a", "mounts/named/a/b"})
        CHECK(fs::status(state.path(path)).permissions() == fs::perms::owner_all);
    std::ofstream(state.path("mounts/named/a/b/file")) << "kept";
    REQUIRE(files.make_mount("named/a/b"));
    CHECK(test::content_of(state.path("mounts/named/a/b/file")) == "kept");
}

TEST_CASE("a mount is made through no symbolic link and over no file") {
    const TemporaryDirectory state;
    const TemporaryDirectory other;
    const auto files = BackendFiles::open(state.fd()).value();
    REQUIRE(files.make_mount("named"));
    std::filesystem::create_directory_symlink(other.path(), state.path("mounts/named/link"));
    std::ofstream(state.path("mounts/named/file"));
    for (const char* path : {"named/link", "named/link/a", "named/file", "named/file/a"}) {
        CAPTURE(path);
        const auto refused = files.make_mount(path);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::spawn_failed);
        CHECK(refused.error().message.find(path) != std::string::npos);
        CHECK(told_to_others(refused.error()).message.find("named") == std::string::npos);
    }
    CHECK(std::filesystem::is_empty(other.path()));
}
