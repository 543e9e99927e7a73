#include "daemon/registry/key_cursor.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

KeyCursor at(const char* id, std::optional<std::string> key = {}) {
    return {key ? std::optional(Key::parse(*key).value()) : std::nullopt,
            BackendId::parse(id).value()};
}

}  // namespace

TEST_CASE("a cursor survives its own text, which is fit for a query") {
    for (const KeyCursor& cursor : {at("a"), at("knrv5", "doc"), at("b-1", "dö c&d=.%+?\n"),
                                    at("b", std::string(128, '~'))}) {
        const std::string text = cursor.str();
        CAPTURE(text);
        CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-_.") == std::string::npos);
        CHECK(KeyCursor::parse(text).value() == cursor);
    }
}

TEST_CASE("what is no cursor is refused") {
    for (const char* text : {"", ".", "A", "knrv5.", "knrv5.!", "knrv5.ZG9j=", ".ZG9j", "a b",
                             "knrv5.AA", "knrv5.ZG9j.ZG9j", "knrv5._w"}) {
        CAPTURE(text);
        const auto cursor = KeyCursor::parse(text);
        REQUIRE_FALSE(cursor);
        CHECK(cursor.error().code == ErrorCode::invalid_request);
    }
}
