#include "common/text.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("text that could play with a terminal is escaped, other text is left alone") {
    CHECK(escaped("naïve 🎈 key") == "naïve 🎈 key");
    CHECK(escaped("a\nb\tc") == "a\\nb\\tc");
    CHECK(escaped("\x1b]0;title\x07") == "\\x1b]0;title\\x07");
    CHECK(escaped("\u009b31m") == "\\u{009b}31m");
    CHECK(escaped("user\u202Egpj.exe") == "user\\u{202e}gpj.exe");
    CHECK(escaped("a\xff") == "a\\xff");
    CHECK(escaped("\xc3") == "\\xc3");
}

TEST_CASE("a shell line can be pasted") {
    CHECK(shell_line({"jamsock", "connect", "--key", "a b"}) == "jamsock connect --key 'a b'");
    CHECK(shell_line({"echo", "it's", ""}) == "echo 'it'\\''s' ''");
    CHECK(shell_line({"x", "$(reboot)"}) == "x '$(reboot)'");
}

TEST_CASE("text in HTML is text, whatever it looks like") {
    CHECK(html_escaped("<b class=\"x\">&amp;") == "&lt;b class=&quot;x&quot;&gt;&amp;amp;");
}

TEST_CASE("text in a URL is itself where that may stand, and bytes otherwise") {
    CHECK(percent_encoded("a-Z_0.~") == "a-Z_0.~");
    CHECK(percent_encoded("a b/é%") == "a%20b%2F%C3%A9%25");
    CHECK(percent_encoded("/a b/c", "/") == "/a%20b/c");
}

TEST_CASE("control characters are found, of C0 and C1 alike") {
    CHECK_FALSE(has_control_character("naïve 🎈"));
    for (const char* text : {"a\nb", "\x7f", "a\u0085", "a\xff"})
        CHECK(has_control_character(text));
}

TEST_CASE("a number is digits alone and fits") {
    long long number = 0;
    CHECK(parse_number("42", number));
    CHECK(number == 42);
    for (const char* text : {"", "-1", "+1", " 1", "1 ", "1x", "99999999999999999999"}) {
        CHECK_FALSE(parse_number(text, number));
    }
}

TEST_CASE("a shell line can be pasted whatever its words hold") {
    CHECK(shell_line({"a", "b c", "", "it's"}) == "a 'b c' '' 'it'\\''s'");
    CHECK(shell_line({"tab\there", "\xff'\\"}) == "$'tab\\011here' $'\\377\\047\\134'");
}

TEST_CASE("a shell line stays as it is when it is shown") {
    for (const char* word : {"plain", "two words", "it's", "a\nb", "user\u202Egpj", "\xff"}) {
        const std::string line = shell_line({word});
        CHECK(escaped(line) == line);
    }
}
