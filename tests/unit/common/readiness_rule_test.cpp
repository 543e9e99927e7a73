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

std::string repeated(const char* piece, int times) {
    std::string text;
    while (times-- > 0)
        text += piece;
    return text;
}

}  // namespace

TEST_CASE("a pattern without back-references and with few repetitions is taken") {
    for (const std::string pattern :
         {"up",
          R"(\.up\(\{)",
          R"(\\1)",
          R"(a\\\\1)",
          R"([\1])",
          R"([]\1])",
          R"([^]\1])",
          R"([[:digit:]\1])",
          R"([[.].]\1])",
          R"([[=]=]\1])",
          R"(\[[\1])",
          R"([a-]1)",
          "a{2}{3}",
          "a{1,1000}",
          "a{0,1000}",
          "a{1000}",
          "a{1000,}",
          "a{,1000}",
          "(a{30}){30}",
          "[{40}]{40}",
          R"((a\{40}){40})",
          "a{0}",
          "(a+)+b*?",
          "()",
          ")a",
          "a|b",
          R"(^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z )"
          R"(([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5} (up|ready)$)"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern) == "");
    }
    CHECK(refusal_of(std::string(1024, 'a')) == "");
    CHECK(refusal_of(repeated("a+", 512)) == "");
}

TEST_CASE("a back-reference is refused, with its place") {
    CHECK(refusal_of(R"((.*)\1(.*)\2x)") ==
          R"(It has at byte 5 a back-reference, \1, which no extended regular expression has: )"
          R"('(.*)\1(.*)\2x'.)");
    for (const std::string pattern :
         {R"((a)\9)", R"((a)\\\1)", R"([a](b)\1)", R"([]](b)\1)", R"([^]](b)\1)", R"([\](b)\1)",
          R"([[:alpha:]](b)\1)", R"([[.].]](b)\1)", R"([[](b)\1)", R"(\[(b)\1])"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern).find(" a back-reference, \\") != std::string::npos);
    }
}

TEST_CASE("repetitions of repetitions are refused before they are written out in memory") {
    CHECK(refusal_of("(a{40}){40}") ==
          "It is at byte 8 too long: with its repetitions written out it may have 1024 "
          "characters: '(a{40}){40}'.");
    for (const std::string& pattern :
         {std::string("(((a{1,100}){1,100}){1,100})"), std::string("a{40}{40}"),
          std::string("a{600}b{600}"), std::string("a{32767}"), std::string("a{1,32767}"),
          std::string("a{32767,}"), std::string("a{,32767}"),
          std::string("a{99999999999999999999999}"), std::string("((a{40}){40}){0}"),
          std::string("(a{600}(a{600}(a{600}"), "a" + repeated("+", 30), "a" + repeated("{1,}", 30),
          repeated("(", 30) + "a" + repeated("+)", 30), "()" + repeated("+", 30),
          "(" + repeated("a", 900) + "){9}", "(a" + repeated("*", 900) + "){9}",
          repeated("(", 400) + repeated(")", 400) + "{9}", "(" + repeated("|", 900) + "){9}"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern).find("too long: with its repetitions written out") !=
              std::string::npos);
    }
}

TEST_CASE("what is no pattern at all is refused as before") {
    for (const std::string pattern : {"(up", "[a", "[[:a", "a{1", "a{2,1}", "a{x}", "a{", "a\\",
                                      "*{2}", "a{1,2", "[[:nothing:]]"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern).find("is no extended regular expression") != std::string::npos);
    }
}
