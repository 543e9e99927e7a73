#include "daemon/shim/lock_holder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
using Outcome = LockAttempt::Outcome;

namespace {

struct Locks {
    test::TemporaryDirectory home;
    UniqueFd directory = home.open();
    std::string file = home.path("lock");

    LockHolder holder() const { return LockHolder(directory.get(), "lock"); }
};

}  // namespace

TEST_CASE("a taken lock names its token and backend in the file") {
    const Locks locks;
    LockHolder holder = locks.holder();
    CHECK(holder.try_take({41, "knrv5"}).outcome == Outcome::taken);
    CHECK(test::content_of(locks.file).starts_with("41 "));
    CHECK(test::content_of(locks.file).find(" knrv5 ") != std::string::npos);
    CHECK(test::content_of(locks.file).back() == '\n');
    CHECK(holder.is_in_place());
}

TEST_CASE("a second holder is refused and told of the first") {
    const Locks locks;
    LockHolder first = locks.holder();
    REQUIRE(first.try_take({41, "first"}).outcome == Outcome::taken);
    LockHolder second = locks.holder();
    const LockAttempt attempt = second.try_take({42, "second"});
    CHECK(attempt.outcome == Outcome::busy);
    CHECK(attempt.holder == "first");
    CHECK(attempt.token == 41);
    CHECK(test::content_of(locks.file).starts_with("41 "));

    first.release();
    CHECK(second.try_take({42, "second"}).outcome == Outcome::taken);
}

TEST_CASE("a copy of the descriptor keeps the lock after its holder") {
    const Locks locks;
    LockHolder holder = locks.holder();
    REQUIRE(holder.try_take({1, "first"}).outcome == Outcome::taken);
    UniqueFd copy(::dup(holder.fd()));
    holder.release();
    CHECK(locks.holder().try_take({2, "second"}).outcome == Outcome::busy);
    copy.reset();
    CHECK(locks.holder().try_take({2, "second"}).outcome == Outcome::taken);
}

TEST_CASE("a copy that unlocks frees nothing while the holder lives, which locks it again") {
    const Locks locks;
    const auto flock_by_hand = [&] {
        const UniqueFd file(::open(locks.file.c_str(), O_RDWR | O_CLOEXEC));
        return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
    };
    LockHolder holder = locks.holder();
    REQUIRE(holder.try_take({41, "first"}).outcome == Outcome::taken);
    const UniqueFd copy(::dup(holder.fd()));
    REQUIRE(::flock(copy.get(), LOCK_UN) == 0);
    const LockAttempt attempt = locks.holder().try_take({42, "second"});
    CHECK(attempt.outcome == Outcome::busy);
    CHECK(attempt.holder == "first");
    CHECK(flock_by_hand());  // and so nothing but that

    CHECK(holder.keep());
    CHECK_FALSE(flock_by_hand());
    CHECK(holder.keep());

    REQUIRE(::flock(copy.get(), LOCK_UN) == 0);
    const UniqueFd other(::open(locks.file.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(other.get(), LOCK_EX | LOCK_NB) == 0);
    CHECK_FALSE(holder.keep());
}

TEST_CASE("a holder of before, with flock's lock alone, and one of today exclude each other") {
    const Locks locks;
    LockHolder today = locks.holder();
    UniqueFd before(::open(locks.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::flock(before.get(), LOCK_EX | LOCK_NB) == 0);
    CHECK(today.try_take({41, "today"}).outcome == Outcome::busy);
    before.reset();
    REQUIRE(today.try_take({41, "today"}).outcome == Outcome::taken);
    before.reset(::open(locks.file.c_str(), O_RDWR | O_CLOEXEC));
    CHECK(::flock(before.get(), LOCK_EX | LOCK_NB) != 0);
}

TEST_CASE("fencing tokens only rise, and a refused one leaves the lock free") {
    const Locks locks;
    REQUIRE(locks.holder().try_take({100, "first"}).outcome == Outcome::taken);
    for (const std::int64_t token : {std::int64_t{99}, std::int64_t{100}}) {
        LockHolder late = locks.holder();
        const LockAttempt attempt = late.try_take({token, "late"});
        CHECK(attempt.outcome == Outcome::stale);
        CHECK(attempt.token == 100);
        LockHolder next = locks.holder();
        CHECK(next.try_take({token, "late"}).outcome == Outcome::stale);
    }
    CHECK(locks.holder().try_take({greatest_fencing_token, "last"}).outcome == Outcome::taken);
    CHECK(locks.holder().try_take({greatest_fencing_token, "later"}).outcome == Outcome::stale);
}

TEST_CASE("what is no fencing token is never written, and where it stands nothing is") {
    const Locks locks;
    const LockAttempt refused = locks.holder().try_take({greatest_fencing_token + 1, "mad"});
    CHECK(refused.outcome == Outcome::failed);
    CHECK(refused.error == ERANGE);
    CHECK(test::content_of(locks.file).empty());
    for (const char* number : {"9223372036854775807", "9007199254740992", "99999999999999999999"}) {
        std::ofstream(locks.file) << number << " knrv5\n";
        const LockAttempt attempt = locks.holder().try_take({100, "next"});
        CHECK(attempt.outcome == Outcome::failed);
        CHECK(attempt.error == ERANGE);
        CHECK(test::content_of(locks.file).starts_with(number));
    }
}

TEST_CASE("a claim is read as it was written, also one by an older version") {
    const LockClaim claim{41, std::string(45, 'k'), std::string(70, 'm')};
    const std::string text = text_of(claim);
    CHECK(text.size() == text_of({greatest_fencing_token, "k"}).size());
    CHECK(text.size() < 512);
    const LockClaim out = parse_claim(text);
    CHECK(out.token == claim.token);
    CHECK(out.backend == claim.backend);
    CHECK(out.mark == claim.mark);

    const LockClaim old =
        parse_claim(fmt::format("{:<19} {:<59}\n", 41, "knrv5") + text.substr(80));
    CHECK(old.token == 41);
    CHECK(old.backend == "knrv5");
    CHECK(old.mark.empty());
}

TEST_CASE("a shorter claim leaves nothing of a longer one") {
    const Locks locks;
    REQUIRE(locks.holder().try_take({1, std::string(45, 'x')}).outcome == Outcome::taken);
    REQUIRE(locks.holder().try_take({2, "y"}).outcome == Outcome::taken);
    CHECK(test::content_of(locks.file).find('x') == std::string::npos);
}

TEST_CASE("a lock file without a token counts as never used") {
    const Locks locks;
    for (const std::string& content : {std::string(), std::string(80, '\0'), std::string("?")}) {
        std::ofstream(locks.file) << content;
        CHECK(locks.holder().try_take({1, "first"}).outcome == Outcome::taken);
    }
}

TEST_CASE("a lock whose file was removed or replaced is not in place") {
    const Locks locks;
    LockHolder holder = locks.holder();
    REQUIRE(holder.try_take({1, "first"}).outcome == Outcome::taken);
    std::filesystem::remove(locks.file);
    CHECK(!holder.is_in_place());
    std::ofstream(locks.file) << "";
    CHECK(!holder.is_in_place());
}

TEST_CASE("a symbolic link is no lock file") {
    const Locks locks;
    std::filesystem::create_symlink("elsewhere", locks.file);
    const LockAttempt attempt = locks.holder().try_take({1, "first"});
    CHECK(attempt.outcome == Outcome::failed);
    CHECK(attempt.error == ELOOP);
}
