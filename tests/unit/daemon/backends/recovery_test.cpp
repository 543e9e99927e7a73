#include "daemon/backends/recovery.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "common/runtime_paths.h"
#include "daemon/backends/mark.h"
#include "daemon/shim/lock_claim.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using test::TemporaryDirectory;

namespace {

constexpr const char* random_bits = "0123456789abcdef0123456789abcdef";
constexpr const char* lock_name = "cafe";

struct State {
    TemporaryDirectory home;
    BackendFiles files = BackendFiles::open(home.fd()).value();
    Cgroups cgroups = Cgroups::of_this_process();

    BackendRecord record(const std::string& mark) const {
        return {.id = BackendId::parse("knrv5").value(),
                .mac_key = MacKey::generate(),
                .lock_name = lock_name,
                .mark = mark,
                .fencing_token = 41};
    }
    BackendRecord own() const { return record(mark_for(files.state_directory(), random_bits)); }

    // Its directory, with the record of a shim of this boot or an earlier one.
    void make(const BackendRecord& backend, const std::string& boot_id = current_boot_id(),
              bool has_ended = false) const {
        const UniqueFd directory = files.create(backend).value();
        auto writer = RecordWriter::create(directory.get());
        REQUIRE(writer->begun(boot_id, ::getpid(), 1, 0));
        if (has_ended) REQUIRE(writer->tree_empty());
    }
    void claim(const LockClaim& claim) const {
        std::ofstream(home.path("locks/") + lock_name) << text_of(claim);
    }
    bool is_unaccounted() const { return unaccounted_holder(files, lock_name).has_value(); }
};

const std::string elsewhere = mark_for("801-2a", random_bits);

}  // namespace

TEST_CASE("a mark names its state directory, whatever the directory's path") {
    const TemporaryDirectory one;
    const TemporaryDirectory other;
    const std::string identity = directory_identity(one.fd());
    const std::string mark = mark_for(identity, random_bits);
    CHECK(mark.starts_with(random_bits));
    CHECK(mark.size() <= 70);
    CHECK(is_marked_for(identity, mark));
    CHECK(is_marked_for(directory_identity(one.open().get()), mark));
    CHECK_FALSE(is_marked_for(directory_identity(other.fd()), mark));
    CHECK(is_marked_for(identity, "0123"));  // by an older version
}

TEST_CASE("a directory that is a copy of another instance's is no living one") {
    const State state;
    state.make(state.own());
    CHECK(read_live(state.files, state.cgroups)->size() == 1);
    state.files.move_to_history(state.own().id);
    std::filesystem::remove_all(state.home.path("history/knrv5"));

    state.make(state.record(elsewhere));
    CHECK(read_live(state.files, state.cgroups)->empty());
    CHECK(state.files.has_ended("knrv5"));
}

TEST_CASE("a directory of an earlier boot is taken, whatever the state directory was then") {
    const State state;
    state.make(state.record(elsewhere), "an earlier boot");
    CHECK(read_live(state.files, state.cgroups)->size() == 1);
}

TEST_CASE(
    "the end of a row's backend is known from the history, or where it is another instance's") {
    const State state;
    CHECK_FALSE(known_end(state.files, state.own()));
    CHECK(known_end(state.files, state.record(elsewhere))->tree_empty);

    state.make(state.own());
    CHECK_FALSE(known_end(state.files, state.own()));
    state.files.move_to_history(state.own().id);
    CHECK(known_end(state.files, state.own())->tree_empty);
    // The same id, given a second time.
    CHECK_FALSE(
        known_end(state.files, state.record(mark_for(state.files.state_directory(), "ab"))));
}

TEST_CASE("a lock file's last holder is to be looked for until its end is known") {
    const State state;
    CHECK_FALSE(state.is_unaccounted());
    state.claim({41, "knrv5"});  // by an older version
    CHECK_FALSE(state.is_unaccounted());
    state.claim({41, "knrv5", elsewhere});
    CHECK_FALSE(state.is_unaccounted());

    const BackendRecord own = state.own();
    state.claim({41, "knrv5", own.mark});
    REQUIRE(state.is_unaccounted());
    CHECK(unaccounted_holder(state.files, lock_name)->mark == own.mark);
    state.make(own);
    CHECK(state.is_unaccounted());
    state.files.move_to_history(own.id);
    CHECK_FALSE(state.is_unaccounted());
}

TEST_CASE("a last holder whose directory is yet to move to the history has ended") {
    const State state;
    state.claim({41, "knrv5", state.own().mark});
    state.make(state.own(), current_boot_id(), /*has_ended=*/true);
    CHECK_FALSE(state.is_unaccounted());
}
