#include "daemon/backends/log_watch.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
using test::TemporaryDirectory;

namespace {

struct Output {
    TemporaryDirectory directory;

    void write(std::string_view text) const {
        std::ofstream(directory.path("output.log"), std::ios::app | std::ios::binary) << text;
    }
    // As the shim does it.
    void rotate() const {
        namespace fs = std::filesystem;
        std::error_code missing;
        fs::rename(directory.path("output.log.1"), directory.path("output.log.2"), missing);
        fs::rename(directory.path("output.log"), directory.path("output.log.1"));
        write("");
    }
};

}  // namespace

TEST_CASE("a line matches once it is whole, wherever its pieces end") {
    const Output output;
    LogWatch watch(output.directory.fd(), "^server up on [0-9]+$");
    CHECK_FALSE(watch.look());
    output.write("no\nserver up on ");
    CHECK_FALSE(watch.look());
    output.write("80");
    CHECK_FALSE(watch.look());
    output.write("80\n");
    CHECK(watch.look());
    output.write("more\n");
    CHECK(watch.look());
}

TEST_CASE("a pattern is one line's: it meets no other, and no end of a line") {
    const Output output;
    LogWatch across(output.directory.fd(), "a.b");
    LogWatch exact(output.directory.fd(), "^done$");
    output.write("a\nb\ndone now\nnot done\n");
    CHECK_FALSE(across.look());
    CHECK_FALSE(exact.look());
    output.write("done\r\n");
    CHECK(exact.look());
}

TEST_CASE("bytes that are no text stand for themselves") {
    const Output output;
    LogWatch watch(output.directory.fd(), "ready$");
    output.write(std::string_view("\0\xff\x1b\0 ready\n", 11));
    CHECK(watch.look());
}

TEST_CASE("of a long line the first 4096 bytes count, however long it is") {
    const Output output;
    LogWatch early(output.directory.fd(), "early");
    LogWatch late(output.directory.fd(), "late");
    LogWatch next(output.directory.fd(), "^next$");
    output.write("early" + std::string(5'000'000, 'x') + "late\nnext\n");
    const auto finds = [](LogWatch& watch) {
        bool found = false;
        for (int looks = 0; looks < 10 && !found; ++looks)
            found = watch.look();
        return found;
    };
    CHECK(finds(early));
    CHECK(finds(next));
    CHECK_FALSE(finds(late));
}

TEST_CASE("a line is found over rotations, from the oldest byte that is kept") {
    const Output output;
    LogWatch watch(output.directory.fd(), "^ready$");
    output.write("one\nre");
    CHECK_FALSE(watch.look());
    output.write("a");
    output.rotate();
    output.write("dy\n");
    CHECK(watch.look());

    const Output old;
    old.write("ready\n");
    old.rotate();
    old.write("two\n");
    old.rotate();
    old.write("three\n");
    LogWatch late(old.directory.fd(), "^ready$");
    CHECK(late.look());
}

TEST_CASE("who was two rotations behind misses nothing; who was left behind goes on") {
    const Output output;
    LogWatch watch(output.directory.fd(), "^ready$");
    output.write("one\n");
    CHECK_FALSE(watch.look());
    output.rotate();
    output.write("ready\n");
    output.rotate();
    output.write("three\n");
    CHECK(watch.look());

    LogWatch slow(output.directory.fd(), "^last$");
    CHECK_FALSE(slow.look());
    for (int i = 0; i < 4; ++i)
        output.rotate();
    output.write("last\n");
    CHECK(slow.look());
}

TEST_CASE("a file that was emptied is read anew") {
    const Output output;
    LogWatch watch(output.directory.fd(), "^ready$");
    output.write("a long first line\n");
    CHECK_FALSE(watch.look());
    std::filesystem::resize_file(output.directory.path("output.log"), 0);
    output.write("ready\n");
    CHECK(watch.look());
}

TEST_CASE("a pattern that can't be one, or is too large, matches nothing") {
    const Output output;
    output.write("(up aa aaaa\n");
    for (const char* pattern : {"(up", R"((a)\1)", "((a{100}){100}){100}"}) {
        CAPTURE(pattern);
        LogWatch watch(output.directory.fd(), pattern);
        CHECK_FALSE(watch.look());
        CHECK_FALSE(watch.look());
    }
}

TEST_CASE("a look is short whatever the pattern is, and the next one goes on from there") {
    const Output output;
    std::string line(LogWatch::longest_line, 'a');
    unsigned state = 1;
    for (char& letter : line) {
        state = state * 1664525 + 1013904223;
        letter = (state >> 24) % 2 == 0 ? 'a' : 'b';
    }
    for (int lines = 0; lines < 60; ++lines)
        output.write(line + "\n");
    output.write("accc\n");
    LogWatch watch(output.directory.fd(), "(a|b)*a(a|b){200}c{3}|^accc$");
    CHECK_FALSE(watch.look());
    int looks = 1;
    while (!watch.look() && looks < 1000)
        ++looks;
    CHECK(looks > 5);
    CHECK(looks < 1000);
}
