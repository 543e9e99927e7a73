#include "cli/log_tail.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>

#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using jamsock::cli_test::StateDirectory;

namespace {

UniqueFd open_file(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

std::string last_lines(const std::string& text, std::size_t lines) {
    const StateDirectory directory;
    UniqueFd file = open_file(directory.write("log", text));
    const std::size_t start = start_of_last_lines(file.get(), lines);
    return LineReader(std::move(file), start).read_lines(/*end_of_file=*/true);
}

}  // namespace

TEST_CASE("the last lines of a file are whole, however it ends and however many are asked for") {
    CHECK(last_lines("a\nb\nc\n", 2) == "b\nc\n");
    CHECK(last_lines("a\nb\nc", 2) == "b\nc\n");
    CHECK(last_lines("a\nb\n", 9) == "a\nb\n");
    CHECK(last_lines("a\nb\n", 0) == "");
    CHECK(last_lines("", 3) == "");
    CHECK(last_lines("\n\n\n", 2) == "\n\n");
}

TEST_CASE("lines far longer than one block are found from the end") {
    const std::string text(200'000, 'x');
    CHECK(last_lines("first\n" + text + "\nlast\n", 2) == text + "\nlast\n");
}

TEST_CASE("a control character in the log reaches no terminal") {
    CHECK(last_lines("red \x1b[31m\n", 1) == "red \\x1b[31m\n");
}

TEST_CASE("a growing file is read on in whole lines, and a new or shorter file is noticed") {
    const StateDirectory directory;
    const std::string path = directory.write("log", "one\ntw");
    LineReader reader(open_file(path), 0);
    CHECK(reader.read_lines(false) == "one\n");
    std::ofstream(path, std::ios::app) << "o\nthree\n";
    CHECK(reader.read_lines(false) == "two\nthree\n");
    CHECK(reader.is_at(open_file(path).get()));

    std::filesystem::resize_file(path, 2);
    CHECK_FALSE(reader.is_at(open_file(path).get()));
    CHECK_FALSE(reader.is_at(open_file(directory.write("other", "one\ntwo\nthree\n")).get()));
}
