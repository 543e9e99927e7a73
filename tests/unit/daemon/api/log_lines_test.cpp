#include "daemon/api/log_lines.h"

#include <doctest/doctest.h>

#include <vector>

using namespace jamsock;

namespace {

using Lines = std::vector<std::string>;

Lines whole_lines(LogLines& lines) {
    Lines found;
    while (auto line = lines.next())
        found.push_back(*line);
    return found;
}

}  // namespace

TEST_CASE("lines are given once they are whole, wherever the pieces end") {
    LogLines lines;
    lines.add("one\ntw");
    CHECK(whole_lines(lines) == Lines{"one"});
    lines.add("o\n\n  three\nfour");
    CHECK(whole_lines(lines) == Lines{"two", "", "  three"});
    CHECK(lines.last() == "four");
    CHECK_FALSE(lines.last());
}

TEST_CASE("a line from Windows has its two line ends, also in two pieces; another CR is written") {
    LogLines lines;
    lines.add("dos\r");
    CHECK(whole_lines(lines).empty());
    lines.add("\n10 %\r20 %\r\n");
    CHECK(whole_lines(lines) == Lines{"dos", "10 %\\r20 %"});
}

TEST_CASE("what ends a line for some parser, or is no UTF-8, is replaced; all else stays") {
    const std::string plain = "\x1b[31mdöc-é 🎉\x1b[0m\ttab \\r";
    CHECK(event_line(plain) == plain);
    CHECK(event_line("a\xff\xfe"
                     "b\xe2\x82") == "a��b��");
    CHECK(event_line("v\vf\fn\xc2\x85l\xe2\x80\xa8p\xe2\x80\xa9.") == "v�f�n�l�p�.");
    CHECK(event_line(std::string_view("n\0l", 3)) == std::string_view("n\0l", 3));
}

TEST_CASE("a line that is too long comes in pieces, none of which cuts a character") {
    const std::string fits(LogLines::longest, 'x');
    LogLines lines;
    lines.add(fits + "\r\n" + fits + "y\n");
    CHECK(whole_lines(lines) == Lines{fits, fits, "y"});

    const std::string before(LogLines::longest - 1, 'x');
    lines.add(before + "é");
    CHECK(whole_lines(lines).empty());
    lines.add("!");
    CHECK(whole_lines(lines) == Lines{before});
    lines.add("\n");
    CHECK(whole_lines(lines) == Lines{"é!"});

    lines.add(std::string(LogLines::longest + 10, '\x80') + "\n");
    CHECK(whole_lines(lines).size() == 2);
}

TEST_CASE("a line whose rest is lost is forgotten") {
    LogLines lines;
    lines.add("half a li");
    lines.break_off();
    CHECK_FALSE(lines.last());
    lines.add("whole\n");
    CHECK(whole_lines(lines) == Lines{"whole"});
}
