#include "common/key.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

std::string refusal(std::string_view text) {
    const auto key = Key::parse(text);
    REQUIRE_FALSE(key);
    CHECK(key.error().code == ErrorCode::invalid_key);
    return key.error().message;
}

std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i)
        all += text;
    return all;
}

}  // namespace

TEST_CASE("any valid UTF-8 of 1 to 128 code points is a key, byte for byte") {
    for (const std::string& text :
         {std::string("document-123"), std::string(" "), std::string("-k"), std::string("a\nb\tc"),
          std::string("'\"\\/%?#"), std::string("naïve"), std::string("🎈"),
          std::string("\u0001\u007f"), repeated("x", 128), repeated("🎈", 128)}) {
        const auto key = Key::parse(text);
        REQUIRE(key);
        CHECK(key->str() == text);
    }
}

TEST_CASE("keys are not normalised: composed and decomposed letters are two keys") {
    CHECK(*Key::parse("\u00e9") != *Key::parse("e\u0301"));
}

TEST_CASE("an empty key is refused") {
    CHECK(refusal("").find("empty") != std::string::npos);
}

TEST_CASE("a key of 129 code points is refused, however many bytes they have") {
    CHECK(refusal(repeated("x", 129)).find("129 characters") != std::string::npos);
    CHECK(refusal(repeated("🎈", 129)).find("character 129") != std::string::npos);
}

TEST_CASE("U+0000 is refused with its position") {
    CHECK(refusal(std::string_view("ab\0c", 4)).find("byte 3") != std::string::npos);
}

TEST_CASE("what is no UTF-8 is refused with the position and the byte") {
    struct Case {
        std::string_view text;
        std::string_view said;
    };
    for (const Case& c : {
             Case{"ab\xff", "byte 3 (0xff)"},            // never a byte of UTF-8
             Case{"a\xc3", "byte 2 (0xc3)"},             // cut short
             Case{"\xc0\xaf", "byte 1 (0xc0)"},          // overlong
             Case{"x\xed\xa0\x80", "byte 2 (0xed)"},     // a surrogate
             Case{"\xf4\x90\x80\x80", "byte 1 (0xf4)"},  // beyond U+10FFFF
             Case{"\x80", "byte 1 (0x80)"},              // a continuation without a start
         }) {
        CHECK_MESSAGE(refusal(c.text).find(c.said) != std::string::npos, refusal(c.text));
    }
}
