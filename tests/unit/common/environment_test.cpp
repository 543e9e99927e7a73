#include "common/environment.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>

using namespace jamsock;

namespace {

std::size_t count_in(const std::vector<std::string>& variables, const std::string& entry) {
    return static_cast<std::size_t>(std::ranges::count(variables, entry));
}

}  // namespace

TEST_CASE("given variables take the place of this process's, and the others stay as they are") {
    ::setenv("JAMSOCK_TEST", "before", 1);
    ::setenv("JAMSOCK_TEST_2", "a=b", 1);
    const auto variables =
        environment_with({{"JAMSOCK_TEST", "new\nline"}, {"JAMSOCK_TEST_3", ""}});
    CHECK(count_in(variables, "JAMSOCK_TEST=new\nline") == 1);
    CHECK(count_in(variables, "JAMSOCK_TEST=before") == 0);
    CHECK(count_in(variables, "JAMSOCK_TEST_2=a=b") == 1);
    CHECK(count_in(variables, "JAMSOCK_TEST_3=") == 1);
    ::unsetenv("JAMSOCK_TEST");
    ::unsetenv("JAMSOCK_TEST_2");
    CHECK(environment_with({}).size() + 3 == variables.size());
}
