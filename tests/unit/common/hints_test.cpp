#include "common/hints.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a key's command names its service, and takes any key") {
    const auto command = [](const char* service, const char* key) {
        return key_command("connect", ServiceName::parse(service).value(), Key::parse(key).value());
    };
    CHECK(command("default", "doc") == "jamsock connect --key doc");
    CHECK(command("editor/staging", "a b") == "jamsock connect editor/staging --key 'a b'");
    CHECK(command("editor", "--") == "jamsock connect editor --key=--");
    CHECK(command("default", "a\tb") == "jamsock connect --key $'a\\011b'");
    CHECK(key_command("list", ServiceName::standard(), std::nullopt) == "jamsock list");
}
