#include "cli/backend_output.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>

#include "common/output_files.h"
#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using jamsock::cli_test::StateDirectory;
namespace fs = std::filesystem;

namespace {

const BackendId id = BackendId::parse("knrv5").value();

// backends/knrv5 with the files that the test writes, as the shim would.
struct Backend {
    StateDirectory state;
    std::string directory = state.path() + "/backends/knrv5";

    Backend() { fs::create_directories(directory); }
    std::string path(const std::string& name) const { return directory + "/" + name; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }
    void append(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary | std::ios::app) << text;
    }
    void write_times(const std::string& log,
                     const std::vector<output_file::TimesRecord>& records) const {
        struct stat status {};
        REQUIRE(::stat(path(log).c_str(), &status) == 0);
        std::vector<output_file::TimesRecord> all{
            {output_file::times_magic, static_cast<std::int64_t>(status.st_ino)}};
        all.insert(all.end(), records.begin(), records.end());
        std::ofstream file(path(log + ".times"), std::ios::binary);
        file.write(reinterpret_cast<const char*>(all.data()),
                   static_cast<std::streamsize>(all.size() * sizeof all[0]));
    }
    void set_written(const std::string& log, std::int64_t milliseconds) const {
        const timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
        const timespec times[2] = {time, time};
        REQUIRE(::utimensat(AT_FDCWD, path(log).c_str(), times, 0) == 0);
    }
    void rotate() const {
        for (std::size_t age = output_file::names.size() - 1; age > 0; --age) {
            std::error_code none_there;
            fs::rename(path(output_file::names[age - 1]), path(output_file::names[age]),
                       none_there);
        }
    }
    BackendOutput output() const { return BackendOutput::find(state.fd(), id).value(); }
    OutputFiles files() const { return output().files(); }
    std::string since(std::int64_t time) const {
        const OutputFiles all = files();
        return all.read_at(all.start_since(time), all.size());
    }
};

std::string text_of(const OutputFiles& files) {
    return files.read_at(0, files.size());
}

// A read lock on the directory, as a shim has it.
UniqueFd lock(const std::string& directory) {
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = F_RDLCK;
    REQUIRE(::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0);
    return fd;
}

}  // namespace

TEST_CASE("the files are read as one text, the oldest first") {
    const Backend backend;
    CHECK(backend.files().size() == 0);
    CHECK(text_of(backend.files()).empty());
    backend.write("output.log", "newest");
    CHECK(text_of(backend.files()) == "newest");
    backend.write("output.log.1", "older\n");
    backend.write("output.log.2", "oldest\n");
    const OutputFiles files = backend.files();
    CHECK(text_of(files) == "oldest\nolder\nnewest");
    CHECK(files.read_at(3, 7) == "est\nold");
    CHECK(files.read_at(13, 100) == "newest");
    CHECK(files.read_at(19, 1).empty());
}

TEST_CASE("while the files are rotated, those that are there are read") {
    const Backend backend;
    backend.write("output.log", "a");
    backend.rotate();
    CHECK(text_of(backend.files()) == "a");
}

TEST_CASE("later files go on where earlier ones ended, over rotations") {
    const Backend backend;
    const OutputFiles nothing = backend.files();
    backend.write("output.log", "one ");
    const OutputFiles first = backend.files();
    CHECK(first.end_of(nothing) == 0);
    CHECK(first.end_of(first) == 4);

    backend.append("output.log", "two ");
    backend.rotate();
    backend.write("output.log", "three ");
    const OutputFiles second = backend.files();
    CHECK(second.read_at(second.end_of(first).value(), 100) == "two three ");
    backend.rotate();
    backend.write("output.log", "four ");
    CHECK(backend.files().end_of(first) == 4);

    for (int i = 0; i < 2; ++i) {
        backend.rotate();
        backend.write("output.log", "five ");
    }
    CHECK_FALSE(backend.files().end_of(first));
    CHECK(first.rest() == "two ");
    CHECK(second.rest().empty());
    CHECK(nothing.rest().empty());
}

TEST_CASE("an emptied file goes on at its new end") {
    const Backend backend;
    backend.write("output.log", "a long text");
    const OutputFiles before = backend.files();
    backend.write("output.log", "new");
    CHECK(backend.files().end_of(before) == 3);
}

TEST_CASE("what came since a time is found by the index, from the beginning of a line") {
    const Backend backend;
    backend.write("output.log.1", "one\ntwo\n");
    backend.write_times("output.log.1", {{0, 10'000}, {4, 20'000}});
    backend.set_written("output.log.1", 20'000);
    backend.write("output.log", "three\nfour\n");
    backend.write_times("output.log", {{0, 30'000}, {8, 40'000}});
    backend.set_written("output.log", 40'000);

    CHECK(backend.since(0) == "one\ntwo\nthree\nfour\n");
    CHECK(backend.since(20'000) == "two\nthree\nfour\n");
    CHECK(backend.since(20'999) == "two\nthree\nfour\n");  // as exact as the index is
    CHECK(backend.since(21'000) == "three\nfour\n");
    CHECK(backend.since(40'000) == "four\n");
    CHECK(backend.since(41'000).empty());
}

TEST_CASE("without an index the time of the last writing decides for the whole file") {
    const Backend backend;
    backend.write("output.log.1", "older\n");
    backend.set_written("output.log.1", 20'000);
    backend.write("output.log", "newer\n");
    backend.set_written("output.log", 40'000);
    CHECK(backend.since(20'000) == "older\nnewer\n");
    CHECK(backend.since(20'001) == "newer\n");
    CHECK(backend.since(40'001).empty());
}

TEST_CASE("an index that is another log's, cut or senseless is believed as far as it goes") {
    const Backend backend;
    backend.write("output.log", "one\ntwo\nthree\n");
    backend.set_written("output.log", 90'000);
    const auto since_50 = [&] { return backend.since(50'000); };

    backend.write_times("output.log", {{0, 10'000}, {4, 50'000}, {8, 90'000}});
    CHECK(since_50() == "two\nthree\n");
    fs::resize_file(backend.path("output.log.times"), 16 * 3 + 5);
    CHECK(since_50() == "two\nthree\n");
    CHECK(backend.since(60'000) == "two\nthree\n");  // the last writing was later
    fs::resize_file(backend.path("output.log.times"), 16 + 5);
    CHECK(since_50() == "one\ntwo\nthree\n");
    fs::resize_file(backend.path("output.log.times"), 7);
    CHECK(since_50() == "one\ntwo\nthree\n");

    backend.write_times("output.log", {{0, 10'000}, {4, 50'000}, {999, 60'000}});
    CHECK(since_50() == "two\nthree\n");
    backend.write_times("output.log", {{0, 10'000}, {8, 20'000}, {4, 50'000}});
    CHECK(since_50() == "three\n");
    backend.write("output.log.times", std::string(64, '\xff'));
    CHECK(since_50() == "one\ntwo\nthree\n");
    backend.write("other", "one\ntwo\nthree\n");
    backend.write_times("other", {{0, 10'000}, {4, 95'000}});
    fs::rename(backend.path("other.times"), backend.path("output.log.times"));
    CHECK(since_50() == "one\ntwo\nthree\n");
}

TEST_CASE("a backend is found live or ended, and one that never was is not") {
    const Backend backend;
    backend.write("output.log", "text");
    CHECK(text_of(backend.files()) == "text");
    fs::create_directory(backend.state.path() + "/history");
    const BackendOutput open_before = backend.output();
    fs::rename(backend.directory, backend.state.path() + "/history/knrv5");
    CHECK(text_of(backend.files()) == "text");
    CHECK(text_of(open_before.files()) == "text");
    const auto other = BackendOutput::find(backend.state.fd(), BackendId::parse("other").value());
    CHECK(other.error().code == ErrorCode::backend_not_found);
    CHECK(other.error().message == "There is no backend 'other'.");
}

TEST_CASE("output may grow until its shim lets go of the directory") {
    const Backend backend;
    const BackendOutput output = backend.output();
    CHECK(output.may_grow());  // the shim has not begun
    UniqueFd shim = lock(backend.directory);
    backend.write("output.log", "");
    CHECK(output.may_grow());
    backend.rotate();
    CHECK(output.may_grow());
    backend.write("output.log", "");
    shim.reset();
    CHECK_FALSE(output.may_grow());
}

TEST_CASE("of a backend that ended before its shim began, nothing more is awaited") {
    const Backend backend;
    const BackendOutput output = backend.output();
    fs::create_directory(backend.state.path() + "/history");
    fs::rename(backend.directory, backend.state.path() + "/history/knrv5");
    CHECK_FALSE(output.may_grow());
}
