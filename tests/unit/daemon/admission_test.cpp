#include "daemon/admission.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

using namespace jamsock;

namespace {

using Row = std::vector<std::optional<uid_t>>;
constexpr std::optional<uid_t> untold;

// Lets `count` newcomers of a user in, each in the place of whom the rule names.
void let_in(Row& row, std::optional<uid_t> user, std::size_t places, int count = 1) {
    for (int i = 0; i < count; ++i) {
        row.push_back(user);
        if (row.size() <= places) continue;
        row.erase(row.begin() + static_cast<std::ptrdiff_t>(whom_to_close(row)));
    }
}

std::map<std::optional<uid_t>, int> shares(const Row& row) {
    std::map<std::optional<uid_t>, int> counts;
    for (const auto& user : row)
        ++counts[user];
    return counts;
}

}  // namespace

TEST_CASE("the oldest stranger of the user who has most of them is closed") {
    const auto closed = [](const Row& row) { return whom_to_close(row); };
    CHECK(closed({7}) == 0);
    CHECK(closed({7, 7, 7}) == 0);
    CHECK(closed({7, 8, 8}) == 1);
    CHECK(closed({7, 8, 9, 8}) == 1);
    CHECK(closed({untold, 8, untold}) == 0);
    CHECK(closed({8, untold, 8, untold, untold}) == 1);
}

TEST_CASE("of two users with equally many strangers, the one with the older stranger loses") {
    CHECK(whom_to_close(Row{7, 8, 8, 7}) == 0);
    CHECK(whom_to_close(Row{8, 7, 7, 8}) == 0);
    CHECK(whom_to_close(Row{untold, 7}) == 0);
}

TEST_CASE("who floods a server closes his own connections only") {
    for (const std::size_t places : {2, 3, 10, 100}) {
        Row row;
        let_in(row, 7, places, 500);
        CHECK(row.size() == places);
        let_in(row, 8, places);
        CHECK(row.back() == 8);
        const Row before = row;
        let_in(row, 7, places, 500);
        CHECK(row.size() == places);
        if (places > 2) CHECK(shares(row)[8] == 1);
    }
}

TEST_CASE("users who all flood a server come to equal shares") {
    Row row;
    for (int round = 0; round < 200; ++round) {
        for (const uid_t user : {7, 8, 9})
            let_in(row, user, 30, static_cast<int>(user));
        let_in(row, untold, 30, 3);
    }
    for (const auto& [user, count] : shares(row)) {
        CHECK(count >= 6);
        CHECK(count <= 9);
    }
}

TEST_CASE("the newcomer itself is closed only where its user has most, and no older one") {
    for (uid_t user = 0; user < 4; ++user) {
        Row row;
        for (int i = 0; i < 64; ++i)
            row.push_back(static_cast<uid_t>(i % 3));
        row.push_back(user);
        CHECK(whom_to_close(row) != row.size() - 1);
    }
}
