#include "common/json_escapes.h"

#include <doctest/doctest.h>
#include <utf8.h>

#include <nlohmann/json.hpp>

#include "common/json_fields.h"
#include "common/text.h"

using namespace jamsock;

TEST_CASE("JSON is the same value without one raw control character, for every character") {
    for (char32_t c = 0; c <= 0xFFFF; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string character;
        utf8::append(c, std::back_inserter(character));
        const std::string text = "a" + character + "b";
        const std::string json = json::dump({{text, {text}}});
        const bool is_shown = escaped(text) == text;
        const bool is_same = nlohmann::json::parse(json) == nlohmann::json{{text, {text}}};
        const bool is_escaped = escaped(json) == json;
        const bool has_it = json.find(character) != std::string::npos;
        const bool is_right = is_same && is_escaped && (has_it || !is_shown);
        CAPTURE(static_cast<unsigned>(c));
        if (!is_right) CHECK(is_right);
    }
}

TEST_CASE("what was escaped already, and bytes that are no UTF-8, stay") {
    CHECK(with_controls_escaped(R"({"a":"\u009b\\"})") == R"({"a":"\u009b\\"})");
    CHECK(with_controls_escaped("\"\x7F\xC2\x9B\xE2\x80\xAE€é\"") == R"("\u007f\u009b\u202e)"
                                                                     "€é\"");
    CHECK(with_controls_escaped("\"\xE2\x80\"") == "\"\xE2\x80\"");
    CHECK(with_controls_escaped("\xC2") == "\xC2");
}
