#include "daemon/log_queue.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "common/unique_fd.h"
#include "tests/support/eventually.h"

using namespace jamsock;
using test::eventually;

namespace {

struct Pipe {
    UniqueFd reader, writer;

    Pipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        reader = UniqueFd(ends[0]);
        writer = UniqueFd(ends[1]);
        ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    }
    // All that is there now.
    std::string read() const {
        std::string text;
        std::array<char, 65536> bytes{};
        for (;;) {
            const ssize_t length = ::read(reader.get(), bytes.data(), bytes.size());
            if (length <= 0) return text;
            text.append(bytes.data(), static_cast<std::size_t>(length));
        }
    }
};

// The losses said in it, which may be several.
std::uint64_t said_lost(const std::string& text) {
    constexpr std::string_view begin = "\njamsockd: ";
    std::uint64_t lost = 0;
    for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1))
        lost += std::stoull(text.substr(at + begin.size()));
    return lost;
}

}  // namespace

TEST_CASE("lines reach a reader whole and in order") {
    const Pipe pipe;
    std::string expected;
    {
        LogQueue queue(pipe.writer.get());
        for (int i = 0; i < 100; ++i) {
            const std::string line = "line " + std::to_string(i) + "\n";
            queue.add(line);
            expected += line;
        }
    }
    CHECK(pipe.read() == expected);
}

TEST_CASE("a line is cut to a line's length, between two characters") {
    const Pipe pipe;
    std::string line(LogQueue::longest_line - 5, 'x');
    {
        LogQueue queue(pipe.writer.get());
        queue.add(line + "€€€\n");
        queue.add("short\n");
    }
    CHECK(pipe.read() == line + "…\nshort\n");
}

TEST_CASE("nobody waits for a reader who doesn't read, and what is lost is counted and said") {
    // Left behind in a write, as at the end of a process.
    static const auto* pipe = new Pipe;
    auto queue = std::make_unique<LogQueue>(pipe->writer.get());
    const std::string line(999, 'x');
    constexpr int lines = 5000;
    for (int i = 0; i < lines; ++i)
        queue->add(line + "\n");
    const std::uint64_t lost = queue->lost_lines();
    CHECK(lost > 0);
    CHECK(lost < lines);
    std::string text;
    CHECK(eventually([&] {
        text += pipe->read();
        return said_lost(text) == lost;
    }));
    CHECK(text.starts_with((line + "\n").substr(0, 100)));
    queue->add("again\n");
    text.clear();
    CHECK(eventually([&] {
        text += pipe->read();
        return text == "again\n";
    }));
    for (int i = 0; i < lines; ++i)
        queue->add(line + "\n");
    queue.reset();  // waits, but not for ever
}
