#include "daemon/shim/message.h"

#include <doctest/doctest.h>

using namespace jamsock;
using namespace std::string_literals;

TEST_CASE("a message is a verb and named fields, each ended by a NUL") {
    Message message("terminate");
    message.add("kind", "soft").add("grace_ms", std::int64_t{-5}).add("empty", "");
    CHECK(message.encode() == "terminate\0kind=soft\0grace_ms=-5\0empty=\0"s);
}

TEST_CASE("a decoded message gives back what was added") {
    Message message("spec");
    message.add("arg", "a=b").add("arg", "").add("arg", "line\nbreak").add("n", INT64_MIN);
    const auto decoded = Message::decode(message.encode());
    REQUIRE(decoded);
    CHECK(decoded->verb() == "spec");
    CHECK(decoded->text("arg") == "a=b");
    CHECK(decoded->all("arg") == std::vector<std::string>{"a=b", "", "line\nbreak"});
    CHECK(decoded->number("n") == INT64_MIN);
    CHECK(!decoded->text("absent"));
    CHECK(decoded->all("absent").empty());
}

TEST_CASE("a verb without fields is a message") {
    const auto decoded = Message::decode("go\0"s);
    REQUIRE(decoded);
    CHECK(decoded->verb() == "go");
    CHECK(!decoded->text("go"));
}

TEST_CASE("a malformed message is none") {
    for (const std::string& bytes : {""s, "\0"s, "go"s, "\0a=b\0"s, "go\0a=b"s, "go\0ab\0"s,
                                     "go\0=b\0"s, "go\0\0"s, "go\0a=b\0\0"s}) {
        CAPTURE(bytes);
        CHECK(!Message::decode(bytes));
    }
}

TEST_CASE("a number is the whole value or nothing") {
    const auto message = Message::decode("v\0a=12x\0b=\0c= 1\0d=9223372036854775808\0e=007\0"s);
    REQUIRE(message);
    for (const char* name : {"a", "b", "c", "d"})
        CHECK(!message->number(name));
    CHECK(message->number("e") == 7);
}

TEST_CASE("a NUL inside a value can't smuggle in a field") {
    Message message("terminate");
    message.add("reason", "swept\0kind=hard"s);
    CHECK(message.text("reason") == "swept");
    CHECK(!message.text("kind"));
}
