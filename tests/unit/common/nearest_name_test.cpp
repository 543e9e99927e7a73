#include "common/nearest_name.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("typing distance counts insertions, removals, replacements and swaps as one each") {
    CHECK(typing_distance("lookup", "lookup") == 0);
    CHECK(typing_distance("lokup", "lookup") == 1);
    CHECK(typing_distance("loookup", "lookup") == 1);
    CHECK(typing_distance("lookap", "lookup") == 1);
    CHECK(typing_distance("lokoup", "lookup") == 1);
    CHECK(typing_distance("", "list") == 4);
    CHECK(typing_distance("terminate", "") == 9);
}

TEST_CASE("a mistyped command is recognised, an unrelated word is not") {
    const std::vector<std::string> names{"connect", "lookup", "list", "ls", "terminate"};
    CHECK(nearest_name("conect", names) == "connect");
    CHECK(nearest_name("termiante", names) == "terminate");
    CHECK(nearest_name("term", names) == "terminate");
    CHECK(nearest_name("lst", names) == "list");
    CHECK_FALSE(nearest_name("quit", names));
    CHECK_FALSE(nearest_name("x", names));
    CHECK_FALSE(nearest_name("", names));
}

TEST_CASE("a suggestion is a question, and nothing where there is none to make") {
    CHECK(did_you_mean("--jsn", {"--json", "--key"}) == " Did you mean '--json'?");
    CHECK(did_you_mean("--frobnicate", {"--json", "--key"}) == "");
}
