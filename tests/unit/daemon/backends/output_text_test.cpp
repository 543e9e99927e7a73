#include "daemon/backends/output_text.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

using namespace jamsock;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

struct Output {
    TemporaryDirectory state;
    BackendFiles files = BackendFiles::open(state.fd()).value();
    BackendId id = BackendId::parse("abcde").value();
    OutputText text{files, id};

    std::string path(const std::string& name) const {
        return state.path(
            std::string(fs::exists(state.path("history/abcde")) ? "history" : "backends") +
            "/abcde/" + name);
    }
    void make() const { fs::create_directory(state.path("backends/abcde")); }
    void write(std::string_view bytes) const {
        std::ofstream(path("output.log"), std::ios::app | std::ios::binary) << bytes;
    }
    // As the shim does it.
    void rotate() const {
        std::error_code missing;
        fs::rename(path("output.log.1"), path("output.log.2"), missing);
        fs::rename(path("output.log"), path("output.log.1"));
        write("");
    }
    std::string all(std::uint64_t from = 0) {
        std::string bytes;
        for (const std::uint64_t end = text.look(); from + bytes.size() < end;) {
            const OutputText::Piece piece = text.read(from + bytes.size(), 3);
            REQUIRE(piece.position == from + bytes.size());
            REQUIRE_FALSE(piece.bytes.empty());
            bytes += piece.bytes;
        }
        return bytes;
    }
};

}  // namespace

TEST_CASE("a backend's output is one text, also while there is none and after its end") {
    Output output;
    CHECK(output.text.look() == 0);
    output.make();
    CHECK(output.text.look() == 0);
    output.write("first ");
    CHECK(output.text.look() == 6);
    output.files.move_to_history(output.id);
    output.write("last");
    CHECK(output.all() == "first last");
}

TEST_CASE("positions stay over a rotation, and what came around it is met once") {
    Output output;
    output.make();
    output.write("one ");
    CHECK(output.text.look() == 4);
    output.write("two ");
    output.rotate();
    output.write("three ");
    output.rotate();
    output.write("four");
    CHECK(output.all(4) == "two three four");
    CHECK(output.all() == "one two three four");
    output.rotate();
    output.write("!");
    CHECK(output.all(8) == "three four!");
}

TEST_CASE("who comes late gets what is kept, from its begin") {
    Output output;
    output.make();
    output.write("one");
    output.rotate();
    output.write("two");
    output.rotate();
    output.write("three");
    output.rotate();
    CHECK(output.all() == "twothree");
}

TEST_CASE("what was rotated away unread is told by the next position") {
    Output output;
    output.make();
    output.write("one");
    CHECK(output.text.look() == 3);
    for (const char* part : {"two", "three", "four", "five"}) {
        output.rotate();
        output.write(part);
    }
    const std::uint64_t end = output.text.look();
    const OutputText::Piece piece = output.text.read(3, 100);
    CHECK(piece.position > 3);
    CHECK(piece.bytes == "three");
    CHECK(output.all(piece.position) == "threefourfive");
    CHECK(output.text.read(end, 100).bytes.empty());
}

TEST_CASE("a full file that was emptied goes on at the text's end") {
    Output output;
    output.make();
    output.write("before");
    CHECK(output.text.look() == 6);
    fs::resize_file(output.path("output.log"), 0);
    CHECK(output.text.look() == 6);
    output.write("after");
    CHECK(output.all(6) == "after");
    CHECK(output.text.read(0, 100).position == 6);
}
