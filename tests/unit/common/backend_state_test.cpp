#include "common/backend_state.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

constexpr Status all[] = {Status::scheduled,        Status::loading,   Status::starting,
                          Status::waiting,          Status::ready,     Status::terminating,
                          Status::hard_terminating, Status::terminated};

}  // namespace

TEST_CASE("a backend may skip statuses and never goes back or stays") {
    for (int earlier = 0; earlier < 8; ++earlier) {
        for (int later = 0; later < 8; ++later) {
            CHECK(may_follow(all[earlier], all[later]) == (later > earlier));
        }
    }
}

TEST_CASE("every status, reason and kind has its word, and the word leads back") {
    for (const Status status : all)
        CHECK(status_from_word(word(status)) == status);
    CHECK(word(Status::hard_terminating) == "hard-terminating");
    for (int reason = 0; reason < 6; ++reason) {
        const auto value = static_cast<TerminationReason>(reason);
        CHECK(reason_from_word(word(value)) == value);
    }
    CHECK(kind_from_word("soft") == TerminationKind::soft);
    CHECK(kind_from_word("hard") == TerminationKind::hard);
    CHECK_FALSE(status_from_word("asleep"));
    CHECK_FALSE(reason_from_word(""));
}

TEST_CASE("an exit is told in words") {
    CHECK(describe({3, std::nullopt}) == "exited with code 3");
    CHECK(describe({std::nullopt, 9}) == "was killed by signal 9 (KILL)");
}
