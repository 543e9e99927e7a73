#include "common/log_pattern.h"

#include <doctest/doctest.h>
#include <time.h>

using namespace jamsock;

namespace {

// Empty if `pattern` is taken.
std::string refusal_of(const std::string& pattern) {
    const auto compiled = LogPattern::compile(pattern);
    return compiled ? "" : compiled.error();
}

bool matches(const std::string& pattern, std::string_view line) {
    const auto compiled = LogPattern::compile(pattern);
    REQUIRE(compiled);
    return compiled->matches(line);
}

// This thread's alone, so that a busy machine makes no difference.
double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string line_of_two_letters() {
    std::string line(4096, 'a');
    unsigned state = 1;
    for (char& letter : line) {
        state = state * 1664525 + 1013904223;
        letter = (state >> 24) % 2 == 0 ? 'a' : 'b';
    }
    return line;
}

}  // namespace

TEST_CASE("extended regular expressions are patterns") {
    for (const std::string pattern :
         {"up", R"(\.up\(\{)", R"(\\1)", R"([]a])", R"([^]a])", R"([[:digit:]a])", "a{1,1000}",
          "a{1000,}", "(a{30}){30}", "[{40}]{40}", "a{0}", "(a+)+b", "()", "a|b", "a{x}",
          R"(^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z )",
          R"(([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5} (up|ready)$)", R"(a\\<b)"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern) == "");
    }
}

TEST_CASE("a pattern meets a part of a line, whose bytes may be any") {
    CHECK(matches("^up$", "up"));
    CHECK_FALSE(matches("^up$", "up now"));
    CHECK(matches("[[:digit:]]+ms", "took 12ms"));
    CHECK(matches(R"(\bready\b)", "is ready."));
    CHECK(matches("(?i)READY", "ready"));
    CHECK(matches("a.b", std::string_view("a\0b", 3)));
    CHECK(matches("a.b",
                  "a\xff"
                  "b"));
    CHECK(matches("a[^x]b",
                  "a\x80"
                  "b"));
    CHECK(matches("für", "alles für dich"));
}

TEST_CASE("what is not a pattern is refused with the part that is wrong") {
    CHECK(refusal_of("(up") == "is not a regular expression: '(up': missing ): '(up'");
    CHECK(refusal_of(R"((a)\1)") ==
          R"(is not a regular expression: '(a)\1': invalid escape sequence: '\1')");
    CHECK(refusal_of("\x1b[") == R"(is not a regular expression: '\x1b[': missing ]: '[')");
    CHECK(refusal_of(R"(up \<now\>)") ==
          R"(has at byte 4 '\<', for which RE2's syntax has '\b': 'up \<now\>')");
    for (const std::string pattern : {"[a", "[[:a", "a{2,1}", "a\\", "*", "[[:nothing:]]"}) {
        CAPTURE(pattern);
        CHECK(refusal_of(pattern).starts_with("is not a regular expression: "));
    }
}

TEST_CASE("a pattern that is too large is refused before it takes time or memory") {
    const double begin = cpu_seconds();
    CHECK(refusal_of("((a{30}){30}){30}").starts_with("is not a regular expression: "));
    CHECK(refusal_of("(a{30}){30}|(b{30}){30}|(c{30}){30}|(d{30}){30}|(e{30}){30}") ==
          "is too large a pattern: "
          "'(a{30}){30}|(b{30}){30}|(c{30}){30}|(d{30}){30}|(e{30}){30}'");
    CHECK(refusal_of("(.{1,1000}){1,1000}") != "");
    CHECK(cpu_seconds() - begin < 1);
}

TEST_CASE("no line takes long, whatever the pattern is") {
    const std::string line = line_of_two_letters();
    for (const char* pattern : {"(a|b)*a(a|b){200}c{3}", "(a|b)*a(a|b){900}c", "(a?){300}a{300}c",
                                "((a*)*)*c", "(.*)(.*)(.*)(.*)(.*)c{2}"}) {
        CAPTURE(pattern);
        const auto compiled = LogPattern::compile(pattern);
        REQUIRE(compiled);
        const double begin = cpu_seconds();
        CHECK_FALSE(compiled->matches(line));
        CHECK(cpu_seconds() - begin < 1);
    }
}
