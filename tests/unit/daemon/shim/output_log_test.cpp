#include "daemon/shim/output_log.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "common/output_files.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;

namespace {

constexpr std::size_t rotation_size = 10 * 1024 * 1024;
constexpr std::size_t piece = 8 * 1024;

std::int64_t now = 0;
std::int64_t pretended_clock() {
    return now;
}

struct Fixture {
    test::TemporaryDirectory home;
    UniqueFd directory = home.open();
    OutputLog log{directory.get(), pretended_clock};
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
    void append(const std::string& text) {
        write(text);
        log.copy();
    }
    std::size_t size(const std::string& name) const {
        return std::filesystem::file_size(home.path(name));
    }
    std::string content(const std::string& name = "output.log") const {
        return test::content_of(home.path(name));
    }
    // The index of a log without its first record, which is checked.
    std::vector<std::pair<std::uint64_t, std::int64_t>> times(const std::string& log_name) const {
        const std::string bytes = content(log_name + ".times");
        std::vector<output_file::TimesRecord> records(bytes.size() / sizeof records[0]);
        REQUIRE(!records.empty());
        std::memcpy(records.data(), bytes.data(), records.size() * sizeof records[0]);
        struct stat status {};
        REQUIRE(::stat(home.path(log_name).c_str(), &status) == 0);
        CHECK(records[0].offset == output_file::times_magic);
        CHECK(records[0].wall_milliseconds == static_cast<std::int64_t>(status.st_ino));
        std::vector<std::pair<std::uint64_t, std::int64_t>> times;
        for (std::size_t i = 1; i < records.size(); ++i)
            times.emplace_back(records[i].offset, records[i].wall_milliseconds);
        return times;
    }
};

// Files of this process can't become larger for a while.
class NoSpaceBeyond {
  public:
    explicit NoSpaceBeyond(rlim_t size) {
        ::signal(SIGXFSZ, SIG_IGN);
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit small{size, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    }
    ~NoSpaceBeyond() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    NoSpaceBeyond(const NoSpaceBeyond&) = delete;
    NoSpaceBeyond& operator=(const NoSpaceBeyond&) = delete;

  private:
    rlimit before_{};
};

// "…/line 17\n": tells its place, so that what is missing, doubled or in another order shows.
std::string numbered_lines(std::size_t count, std::size_t width) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) {
        std::string line = std::to_string(i);
        line.insert(0, width - 1 - line.size(), '.');
        lines += line + '\n';
    }
    return lines;
}

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

TEST_CASE("what comes at once is taken in few turns, and a turn takes no more than a part of it") {
    Fixture fixture;
    const std::string all = numbered_lines(60'000, 100);
    std::thread backend([&] {
        std::size_t done = 0;
        while (done < all.size()) {
            const ssize_t written =
                ::write(fixture.writer.get(), all.data() + done, all.size() - done);
            if (written <= 0) break;
            done += static_cast<std::size_t>(written);
        }
        fixture.writer.reset();
    });
    std::size_t before = 0;
    while (fixture.log.reader() >= 0) {
        fixture.log.copy();
        const std::size_t taken = fixture.size("output.log") - before;
        CHECK(taken <= 1024 * 1024);
        before += taken;
    }
    backend.join();
    CHECK((fixture.content() == all));
}

TEST_CASE("a file ends with a line, and together they have all of it in order") {
    Fixture fixture;
    const std::string all = numbered_lines(130'000, 100);  // 13 MB
    for (std::size_t done = 0; done < all.size(); done += 3001)
        fixture.append(all.substr(done, 3001));
    const std::string older = fixture.content("output.log.1");
    CHECK(older.back() == '\n');
    CHECK(older.size() <= rotation_size);
    CHECK(older.size() > rotation_size - 64 * 1024 - 100);
    CHECK((older + fixture.content() == all));
}

TEST_CASE("a line of 5 MB is kept whole where it fits, and one without end is cut at the limit") {
    Fixture fixture;
    const std::string line = std::string(5'000'000, 'a') + '\n';
    for (std::size_t done = 0; done < line.size(); done += 60'000)
        fixture.append(line.substr(done, 60'000));
    CHECK((fixture.content() == line));
    fixture.flood(rotation_size, 'b');
    CHECK(fixture.size("output.log.1") == rotation_size);
    CHECK((fixture.content("output.log.1") + fixture.content() ==
           line + std::string(rotation_size, 'b')));
}

TEST_CASE("what can't be written is counted, and told in a line of its own once writing works") {
    Fixture fixture;
    {
        const NoSpaceBeyond space(3);
        fixture.append("12345");
        CHECK(fixture.log.dropped_bytes() == 2);
        fixture.append("678");
        CHECK(fixture.log.dropped_bytes() == 5);
        CHECK(fixture.content() == "123");
    }
    fixture.append("9\n");
    const std::string told = "123\n[jamsock: 5 bytes of output were lost: File too large]\n9\n";
    CHECK(fixture.content() == told);
    CHECK(fixture.log.dropped_bytes() == 5);
    fixture.append("more\n");
    fixture.writer.reset();
    fixture.log.finish();
    CHECK(fixture.content() == told + "more\n");
}

TEST_CASE(
    "what was lost at the end is told at the end, and after whole lines without an empty one") {
    Fixture fixture;
    fixture.append("one\n");
    {
        const NoSpaceBeyond space(4);
        fixture.append("two\n");
    }
    fixture.log.finish();
    CHECK(fixture.content() == "one\n[jamsock: 4 bytes of output were lost: File too large]\n");
}

TEST_CASE("as long as the telling line itself doesn't fit, nothing of it is written") {
    Fixture fixture;
    {
        const NoSpaceBeyond space(3);
        fixture.append("12345");
    }
    {
        const NoSpaceBeyond space(20);
        fixture.append("6");
        CHECK(fixture.content() == "123");
    }
    CHECK(fixture.log.dropped_bytes() == 3);
    fixture.log.finish();
    CHECK(fixture.content() == "123\n[jamsock: 3 bytes of output were lost: File too large]\n");
}

TEST_CASE("the index says when what came, once in a second at most, and follows its file") {
    Fixture fixture;
    using Times = std::vector<std::pair<std::uint64_t, std::int64_t>>;
    const auto append_at = [&](std::int64_t time, const std::string& text) {
        now = time;
        fixture.append(text);
    };
    append_at(5000, "a\n");
    append_at(5999, "b\n");
    append_at(6000, "c\n");
    append_at(90'000, "d\n");
    append_at(70'000, "the clock was set back\n");
    const Times wanted{{0, 5000}, {4, 6000}, {6, 90'000}, {8, 70'000}};
    CHECK(fixture.times("output.log") == wanted);

    now = 100'000;
    fixture.flood(rotation_size, 'x');
    append_at(200'000, "y");
    CHECK(fixture.times("output.log.1").front() == wanted.front());
    CHECK(fixture.times("output.log").back() ==
          std::pair<std::uint64_t, std::int64_t>{31, 200'000});
}

TEST_CASE("a record of the index that fits only in part is written again, and the log goes on") {
    Fixture fixture;
    const std::string log = "a\n";
    now = 1000;
    fixture.append(log);
    now = 5000;
    {
        const NoSpaceBeyond space(16 * 2 + 5);
        fixture.append("b\n");
        CHECK(fixture.size("output.log.times") == 16 * 2 + 5);
    }
    fixture.append("c\n");
    const std::vector<std::pair<std::uint64_t, std::int64_t>> wanted{{0, 1000}, {4, 5000}};
    CHECK(fixture.times("output.log") == wanted);
    CHECK(fixture.content() == "a\nb\nc\n");
    CHECK(fixture.log.dropped_bytes() == 0);
}

TEST_CASE("an index can't grow without limit: its log is put aside before") {
    Fixture fixture;
    for (int second = 1; second <= 262'200; ++second) {
        now = second * 1000;
        fixture.append("\n");
    }
    CHECK(fixture.size("output.log.1.times") <= 4 * 1024 * 1024);
    CHECK(fixture.size("output.log.1") + fixture.size("output.log") == 262'200);
}

TEST_CASE("the directory is locked as long as something may be written to it") {
    const auto is_locked = [](int directory) {
        struct flock lock {};
        lock.l_type = F_WRLCK;
        REQUIRE(::fcntl(directory, F_OFD_GETLK, &lock) == 0);
        return lock.l_type != F_UNLCK;
    };
    const test::TemporaryDirectory home;
    const UniqueFd directory = home.open();
    {
        OutputLog log(home.fd());
        CHECK_FALSE(is_locked(directory.get()));
        REQUIRE(log.open());
        CHECK(is_locked(directory.get()));
        const OutputLog moved = std::move(log);
        CHECK(is_locked(directory.get()));
    }
    CHECK_FALSE(is_locked(directory.get()));
}
