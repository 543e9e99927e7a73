#include "tests/support/manual.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "cli/help_topics.h"
#include "common/error.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr const char* page = JAMSOCK_MANUAL "/jamsock.1";

}  // namespace

TEST_CASE("the manual is the one that the tables make") {
    // After a change of the tables: cli_unit_tests --no-skip -tc='man/jamsock.1 is written'
    CHECK(content_of(page) == manual());
}

TEST_CASE("man/jamsock.1 is written" * doctest::skip()) {
    std::ofstream(page) << manual();
}

TEST_CASE("every exit code that an error can have is in its topic") {
    std::set<int> codes{0};
    for (int code = 0; code <= static_cast<int>(ErrorCode::program_not_runnable); ++code)
        codes.insert(info(static_cast<ErrorCode>(code)).exit_code);
    const std::string_view text = find_topic("exit-codes")->text;
    for (const int code : codes) {
        CAPTURE(code);
        CHECK(text.find("  " + std::to_string(code) + "  ") != std::string_view::npos);
    }
}
