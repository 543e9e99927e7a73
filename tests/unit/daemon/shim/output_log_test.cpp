#include "daemon/shim/output_log.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;

namespace {

constexpr std::size_t rotation_size = 10 * 1024 * 1024;
constexpr std::size_t piece = 8 * 1024;

struct Fixture {
    test::TemporaryDirectory home;
    UniqueFd directory = home.open();
    OutputLog log{directory.get()};
    UniqueFd writer;

    Fixture() {
        REQUIRE(log.open());
        writer = log.take_writer();
    }
    void write(const std::string& text) {
        REQUIRE(::write(writer.get(), text.data(), text.size()) ==
                static_cast<ssize_t>(text.size()));
    }
    void flood(std::size_t bytes, char letter) {
        for (std::size_t done = 0; done < bytes; done += piece) {
            write(std::string(piece, letter));
            log.copy();
        }
    }
    std::size_t size(const std::string& name) const {
        return std::filesystem::file_size(home.path(name));
    }
};

}  // namespace

TEST_CASE("output is appended as it comes, and the end of file ends the reading") {
    Fixture fixture;
    fixture.write("one\n");
    fixture.log.copy();
    CHECK(test::content_of(fixture.home.path("output.log")) == "one\n");
    fixture.write("two\n");
    fixture.writer.reset();
    fixture.log.drain();
    CHECK(test::content_of(fixture.home.path("output.log")) == "one\ntwo\n");
    CHECK(fixture.log.reader() == -1);
    CHECK(fixture.log.dropped_bytes() == 0);
}

TEST_CASE("draining takes all that is there and does not wait for more") {
    Fixture fixture;
    fixture.write(std::string(60'000, 'x'));
    fixture.log.drain();
    CHECK(fixture.size("output.log") == 60'000);
    CHECK(fixture.log.reader() >= 0);
}

TEST_CASE("a full log is put aside, and at most two old ones are kept") {
    Fixture fixture;
    for (const char letter : {'a', 'b', 'c', 'd'})
        fixture.flood(rotation_size, letter);
    fixture.write("e");
    fixture.log.copy();
    CHECK(test::content_of(fixture.home.path("output.log")) == "e");
    CHECK(test::content_of(fixture.home.path("output.log.1"))[0] == 'd');
    CHECK(test::content_of(fixture.home.path("output.log.2"))[0] == 'c');
    CHECK(fixture.size("output.log.1") == rotation_size);
    CHECK(!std::filesystem::exists(fixture.home.path("output.log.3")));
}

TEST_CASE("what can't be written is counted, and later output is written again") {
    Fixture fixture;
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit small = before;
    small.rlim_cur = 3;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    fixture.write("12345");
    fixture.log.copy();
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(fixture.log.dropped_bytes() == 2);
    fixture.write("6");
    fixture.log.copy();
    CHECK(test::content_of(fixture.home.path("output.log")) == "1236");
}
