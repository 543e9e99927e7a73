#include "common/readiness_rule.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

// Empty if `pattern` is taken.
std::string refusal_of(const std::string& pattern) {
    const auto sign = ReadySign::parse(ReadySign::Kind::log, pattern, "It");
    if (sign) return "";
    CHECK(sign.error().code == ErrorCode::invalid_request);
    return sign.error().message;
}

}  // namespace

TEST_CASE("a pattern is one that an output can be matched with") {
    CHECK(refusal_of("^ready on [0-9]+$") == "");
    CHECK(refusal_of("(up") == "It is not a regular expression: '(up': missing ): '(up'.");
}
