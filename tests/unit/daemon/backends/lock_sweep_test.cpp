#include "daemon/backends/lock_sweep.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "common/clock.h"
#include "daemon/backends/key_lock.h"
#include "daemon/shim/lock_holder.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using Outcome = LockAttempt::Outcome;

namespace {

constexpr std::int64_t day = 24 * 60 * 60 * 1000;
constexpr std::int64_t now = 1'764'000'000'000;  // wall milliseconds
constexpr std::int64_t long_ago = now - 2 * day;

timespec as_timespec(std::int64_t wall_milliseconds) {
    return {wall_milliseconds / 1000, wall_milliseconds % 1000 * 1'000'000};
}

// A directory `locks/` with files as shims leave them.
struct Locks {
    test::TemporaryDirectory home;
    LockSweep sweep{home.fd()};

    static std::string name(int key) {
        return key_lock::file_name(ServiceName::standard(), std::to_string(key));
    }
    std::string file(int key) const { return home.path(name(key)); }
    bool has(int key) const { return std::filesystem::exists(file(key)); }

    void make(int key, std::int64_t token, std::int64_t claimed_at) const {
        std::ofstream(file(key)) << fmt::format("{:<19} {:<59}\n", token, "knrv5");
        age(key, claimed_at);
    }
    void age(int key, std::int64_t claimed_at) const {
        const std::array times{as_timespec(claimed_at), as_timespec(claimed_at)};
        REQUIRE(::utimensat(home.fd(), name(key).c_str(), times.data(), 0) == 0);
    }
    std::int64_t token(int key) const { return key_lock::recorded_token(home.fd(), name(key)); }
    LockHolder holder(int key) const { return LockHolder(home.fd(), name(key)); }

    LockSweep::Step step(const std::unordered_set<std::string>& in_use = {}) {
        return sweep.step(in_use, now - day, 100);
    }
    void sweep_all() {
        while (!step().at_the_end) {
        }
    }
};

}  // namespace

TEST_CASE("a lock file goes when it is old, and its token stays as the floor for all") {
    Locks locks;
    locks.make(1, 500, now - day - 1);
    locks.make(2, 400, now - day);
    const auto step = locks.step();
    CHECK(step.swept == 1);
    CHECK(step.floor == 500);
    CHECK(step.at_the_end);
    CHECK_FALSE(locks.has(1));
    CHECK(locks.has(2));
    CHECK(locks.token(1) == 500);
    CHECK(locks.token(2) == 500);
    CHECK(test::content_of(locks.home.path("floor")) == "500\n");
}

TEST_CASE("the floor never falls") {
    Locks locks;
    locks.make(1, 500, long_ago);
    locks.sweep_all();
    locks.make(2, 400, long_ago);
    locks.sweep_all();
    CHECK_FALSE(locks.has(2));
    CHECK(locks.token(2) == 500);
    CHECK(key_lock::raise_floor(locks.home.fd(), 7));
    CHECK(key_lock::floor(locks.home.fd()) == 500);
}

TEST_CASE("a held lock's file stays, however old it is") {
    Locks locks;
    LockHolder holder = locks.holder(1);
    REQUIRE(holder.try_take({500, "knrv5"}).outcome == Outcome::taken);
    locks.age(1, long_ago);
    CHECK(locks.step().swept == 0);
    CHECK(holder.is_in_place());
    holder.release();
    CHECK(locks.step().swept == 1);
}

TEST_CASE("a lock file that a backend names stays, though nobody holds it yet") {
    Locks locks;
    locks.make(1, 500, long_ago);
    CHECK(locks.step({Locks::name(1)}).swept == 0);
    CHECK(locks.has(1));
}

TEST_CASE("who has the old file open takes the new one of that path") {
    Locks locks;
    locks.make(1, 500, long_ago);
    const UniqueFd old(::open(locks.file(1).c_str(), O_RDWR | O_CLOEXEC));
    locks.sweep_all();
    REQUIRE(::flock(old.get(), LOCK_EX | LOCK_NB) == 0);
    LockHolder holder = locks.holder(1);
    CHECK(holder.try_take({locks.token(1) + 1, "next"}).outcome == Outcome::taken);
    CHECK(locks.holder(1).try_take({502, "second"}).outcome == Outcome::busy);
}

TEST_CASE("what is no lock file of a key stays") {
    Locks locks;
    locks.make(1, 500, long_ago);
    std::ofstream(locks.home.path("notes"));
    std::filesystem::create_directory(locks.file(2));
    std::filesystem::create_symlink(locks.home.path("notes"), locks.file(3));
    const std::array<timespec, 2> times{as_timespec(long_ago), as_timespec(long_ago)};
    for (const std::string& name : {std::string("notes"), Locks::name(2), Locks::name(3)})
        ::utimensat(locks.home.fd(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
    locks.sweep_all();
    CHECK_FALSE(locks.has(1));
    CHECK(std::filesystem::exists(locks.home.path("notes")));
    CHECK(locks.has(2));
    CHECK(locks.has(3));
}

TEST_CASE("a damaged file's token never becomes the floor of all keys") {
    Locks locks;
    for (const std::int64_t token : {INT64_MAX, greatest_fencing_token}) {
        locks.make(1, token, long_ago);
        locks.sweep_all();
        CHECK(locks.has(1));
        CHECK(locks.token(2) == 0);
    }
}

TEST_CASE("a token that has no next one is refused, with the file's name and the way out") {
    Locks locks;
    const std::string floor = locks.home.path("floor");
    const auto refusal = [&] {
        const auto token = key_lock::sound_token(locks.home.fd(), Locks::name(1));
        return token ? Error{} : token.error();
    };
    locks.make(1, greatest_fencing_token - 1, long_ago);
    CHECK(key_lock::sound_token(locks.home.fd(), Locks::name(1)) == greatest_fencing_token - 1);
    locks.make(1, greatest_fencing_token, long_ago);
    CHECK(refusal().code == ErrorCode::spawn_failed);
    CHECK(refusal().message.find(locks.file(1)) != std::string::npos);
    CHECK(refusal().hint == "mv " + locks.file(1) + " " + locks.file(1) + ".damaged");
    std::filesystem::remove(locks.file(1));
    std::ofstream(floor) << "9223372036854775808\n";
    CHECK(refusal().hint == "mv " + floor + " " + floor + ".damaged");
}

TEST_CASE("nothing is removed while the floor can't be written") {
    Locks locks;
    locks.make(1, 500, long_ago);
    std::filesystem::create_directory(locks.home.path("floor.new"));
    CHECK(locks.step().error == EISDIR);
    CHECK(locks.has(1));
}

TEST_CASE("a step looks at few files, and the next one goes on behind them") {
    Locks locks;
    for (int key = 0; key < 25; ++key)
        locks.make(key, 500, long_ago);
    std::size_t swept = 0;
    int steps = 0;
    for (bool at_the_end = false; !at_the_end; ++steps) {
        const auto step = locks.sweep.step({}, now - day, 10);
        CHECK(step.swept <= 10);
        swept += step.swept;
        at_the_end = step.at_the_end;
    }
    CHECK(swept == 25);
    CHECK(steps >= 3);
}

namespace {

// Takes keys as the worker and its shims do, in many threads: the token is decided from what the
// lock has seen, then the lock is taken with it, at whatever moment.
class Takers {
  public:
    Takers(const Locks& locks, int keys) : locks_(locks), keys_(static_cast<std::size_t>(keys)) {}

    void take_until(const std::atomic<bool>& enough, unsigned seed) {
        for (std::minstd_rand random(seed); !enough;)
            take(static_cast<int>(random() % keys_.size()), random() % 4 == 0);
    }

    std::int64_t last_token(int key) const { return keys_[static_cast<std::size_t>(key)].last; }
    int claims() const { return claims_; }
    int double_holders() const { return double_holders_; }
    int tokens_that_fell() const { return tokens_that_fell_; }
    int claims_lost() const { return claims_lost_; }
    int failures() const { return failures_; }

  private:
    struct Taken {
        std::mutex deciding;  // one start of a key at a time
        std::int64_t last = 0;
        std::atomic<int> holders = 0;
    };

    LockAttempt decide_and_take(Taken& key, LockHolder& holder, int number) {
        const std::lock_guard lock(key.deciding);
        const std::int64_t token = locks_.token(number) + 1;
        LockAttempt attempt = holder.try_take({token, "taker"});
        if (attempt.outcome != Outcome::taken) return attempt;
        if (key.holders++ != 0) ++double_holders_;
        if (token <= key.last) ++tokens_that_fell_;
        key.last = token;
        return attempt;
    }

    // As old as the others, so that it may be swept as soon as it is free.
    void take(int number, bool stays_long) {
        Taken& key = keys_[static_cast<std::size_t>(number)];
        LockHolder holder = locks_.holder(number);
        const Outcome outcome = decide_and_take(key, holder, number).outcome;
        if (outcome != Outcome::taken) {
            if (outcome != Outcome::busy) ++failures_;
            return;
        }
        ++claims_;
        const std::array times{as_timespec(long_ago), as_timespec(long_ago)};
        ::futimens(holder.fd(), times.data());
        for (int i = 0; stays_long && i < 50; ++i)
            std::this_thread::yield();
        if (!holder.is_in_place()) ++claims_lost_;
        --key.holders;
        holder.release();
    }

    const Locks& locks_;
    std::vector<Taken> keys_;
    std::atomic<int> claims_ = 0, double_holders_ = 0, tokens_that_fell_ = 0, claims_lost_ = 0,
                     failures_ = 0;
};

}  // namespace

TEST_CASE("10,000 keys used once are swept without harm to those that are taken at that moment") {
    constexpr int all = 10'000;
    constexpr int taken = 200;  // the first ones, again and again
    constexpr int threads = 4;
    Locks locks;
    for (int key = 0; key < all; ++key)
        locks.make(key, 1000 + key, long_ago);

    Takers takers(locks, taken);
    std::atomic<bool> enough = false;
    std::vector<std::jthread> pool;
    for (unsigned seed = 1; seed <= threads; ++seed)
        pool.emplace_back([&takers, &enough, seed] { takers.take_until(enough, seed); });
    std::size_t swept = 0;
    for (int rounds = 0; rounds < 30;) {
        const auto step = locks.sweep.step({}, now - day, 100);
        swept += step.swept;
        if (step.at_the_end) ++rounds;
    }
    enough = true;
    pool.clear();
    MESSAGE(takers.claims(), " claims while ", swept, " files were swept");

    CHECK(swept > all);
    CHECK(takers.double_holders() == 0);
    CHECK(takers.tokens_that_fell() == 0);
    CHECK(takers.claims_lost() == 0);
    CHECK(takers.failures() == 0);
    for (int key = 0; key < taken; ++key)
        CHECK(locks.token(key) >= takers.last_token(key));

    LockHolder holder = locks.holder(0);
    REQUIRE(holder.try_take({locks.token(0) + 1, "last"}).outcome == Outcome::taken);
    locks.sweep_all();
    locks.sweep_all();
    CHECK(holder.is_in_place());
    for (int key = 1; key < all; ++key) {
        if (locks.has(key)) FAIL_CHECK("left: ", key);
    }
}
