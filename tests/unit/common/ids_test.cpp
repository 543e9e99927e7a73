#include "common/ids.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a backend id has 1 to 45 of a-z, 0-9 and '-'") {
    CHECK(BackendId::parse("knrv5")->str() == "knrv5");
    CHECK(BackendId::parse(std::string(45, 'a')));
    for (const std::string& text : {std::string(), std::string(46, 'a'), std::string("Knrv5"),
                                    std::string("a/b"), std::string("..")}) {
        CHECK_FALSE(BackendId::parse(text));
    }
}

TEST_CASE("'-' and nothing stand for the default names") {
    CHECK(*ServiceName::parse("-", "-") == ServiceName::standard());
    CHECK(*ServiceName::parse("") == ServiceName::standard());
    CHECK(ServiceName::parse("local", "editor", "")->environment() == "default");
}

TEST_CASE("a service and its environment are parted by a slash") {
    const auto name = ServiceName::parse("editor/staging");
    REQUIRE(name);
    CHECK(name->account() == "local");
    CHECK(name->service() == "editor");
    CHECK(name->environment() == "staging");
}

TEST_CASE("a name that could leave its place in a path is refused") {
    for (const char* text : {"..", ".hidden", "a b", "a/b/c", "a\nb", "é"}) {
        CHECK_FALSE(ServiceName::parse(text));
    }
}
