#include "common/mount.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a mount is a relative path that stays where it is") {
    for (const char* path : {"data", "a/b", "...", "a b/ü", ".hidden"}) {
        CAPTURE(path);
        CHECK(Mount::parse(path)->path() == path);
        CHECK_FALSE(Mount::parse(path)->is_own());
    }
    CHECK(Mount::parse(std::string(255, 'x')));
    CHECK(Mount::own().is_own());
}

TEST_CASE("a mount that could lead elsewhere is refused") {
    for (const std::string& path :
         {std::string(), std::string("/"), std::string("/etc"), std::string(".."),
          std::string("../a"), std::string("a/../b"), std::string("a/.."), std::string("./a"),
          std::string("a//b"), std::string("a/"), std::string("a\0b", 3), std::string(256, 'x'),
          std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(255, 'x') + "/" +
              std::string(255, 'x') + "/y"}) {
        CAPTURE(path);
        const auto refused = Mount::parse(path);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_request);
    }
    CHECK(Mount::parse("../a").error().message ==
          "The mount '../a' must be a relative path whose parts are neither empty nor '.' nor "
          "'..', nor longer than 255 bytes.");
}
