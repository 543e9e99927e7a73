// What a backend writes to stdout and stderr, through the real programs: kept, bounded, never in
// the backend's way.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <utility>

#include "common/clock.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t largest_file = 10 * 1024 * 1024;
constexpr const char* key = "doc";

// A backend that says what it is told to, on the key "doc".
struct Talker {
    Home& home;
    std::string url;
    BackendId id;

    explicit Talker(Home& at, const std::vector<std::string>& command = {test_backend()})
        : Talker(at, connect(at, command)) {}
    Talker(Home& at, const ConnectResponse& connected)
        : home(at), url(connected.url), id(connected.backend_id) {}

    static ConnectResponse connect(const Home& home, const std::vector<std::string>& command) {
        std::vector<std::string> words{"connect", "--json", "--key", key, "--"};
        words.insert(words.end(), command.begin(), command.end());
        return ConnectResponse::from_json(home.output_of(words)).value();
    }
    std::string path(const std::string& name) const {
        const std::string live = home.path() + "/backends/" + id.str() + "/" + name;
        return fs::exists(live) ? live : home.path() + "/history/" + id.str() + "/" + name;
    }
    int post(const std::string& target, const std::string& body) const {
        const auto slash = url.find('/', std::string_view("http://").size());
        httplib::Client client(url.substr(0, slash));
        client.set_read_timeout(std::chrono::seconds(60));
        const auto answer = client.Post(url.substr(slash) + target, body, "text/plain");
        return answer ? answer->status : 0;
    }
    void say(const std::string& text) const {
        REQUIRE(post("log", text) == 200);
        const std::string end = text.substr(text.size() - std::min<std::size_t>(text.size(), 64));
        REQUIRE(eventually([&] { return logs({"-n", "1"}).ends_with(end); }));
    }
    std::string logs(std::vector<std::string> options = {}) const {
        options.insert(options.begin(), {"logs", id.str()});
        const RunResult result = home.jamsock(options);
        INFO(result.err);
        REQUIRE(result.exit_code == 0);
        return result.out;
    }
    Child follow(std::vector<std::string> options = {}) const {
        options.insert(options.begin(), {"logs", "-f", id.str()});
        return home.start_jamsock(options);
    }
    Child follow_into(const std::string& file) const {
        return Child::start(
            {"/bin/sh", "-c",
             "exec " JAMSOCK_BUILD_DIR "/bin/jamsock logs -f " + id.str() + " > " + file},
            home.options());
    }
    void end() const { home.output_of({"terminate", id.str()}); }
    std::uintmax_t size_on_disk() const {
        std::uintmax_t size = 0;
        for (const auto& file : fs::directory_iterator(fs::path(path("output.log")).parent_path()))
            if (file.is_regular_file()) size += file.file_size();
        return size;
    }
};

// What /flood writes: the lines from `first` on.
std::string numbered_lines(std::size_t first, std::size_t count) {
    std::string lines;
    for (std::size_t i = first; i < first + count; ++i)
        lines += fmt::format("{:x<99}\n", fmt::format("line {} ", i));
    return lines;
}

std::string all_bytes() {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    return bytes + "\xff\xfe\n\r\n" + bytes;
}

}  // namespace

TEST_CASE("100 MB at once: the backend still answers, the last lines are right, the disk is safe") {
    Home home;
    const Talker talker(home);
    auto flood =
        std::async(std::launch::async, [&] { return talker.post("flood?n=100000000", ""); });
    bool answers = true;
    while (flood.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
        answers = answers && fetch(talker.url).status == 200;
    CHECK(answers);
    CHECK(flood.get() == 200);
    REQUIRE(eventually([&] { return talker.logs({"-n", "1"}) == numbered_lines(999'999, 1); }));
    CHECK((talker.logs({"-n", "5000"}) == numbered_lines(995'000, 5000)));

    const std::string all = talker.logs();
    CHECK(all.size() > 2 * (largest_file - 128 * 1024));
    const std::size_t lines = all.size() / 100;
    CHECK((all == numbered_lines(1'000'000 - lines, lines)));
    CHECK(talker.size_on_disk() < 3 * largest_file + 256 * 1024);
    CHECK(home.backend(talker.id).dropped_log_bytes == 0);
    talker.end();
    CHECK((talker.logs() == all));
}

TEST_CASE("a line of 5 MB, and bytes of every kind, come out of a pipe as they went in") {
    Home home;
    const Talker talker(home);
    const std::string line = std::string(5'000'000, 'x') + '\n';
    talker.say(line);
    CHECK((talker.logs() == line));
    talker.say(all_bytes());
    CHECK((talker.logs() == line + all_bytes()));
    CHECK(talker.logs({"-n", "0"}).empty());
}

TEST_CASE("stdout and stderr are kept in their order, and found by the key") {
    Home home;
    const Talker talker(
        home, {"/bin/sh", "-c", "echo one; echo two >&2; echo three; exec " + test_backend()});
    CHECK(talker.logs() == "one\ntwo\nthree\n");
    CHECK(home.output_of({"logs", "--key", key}) == "one\ntwo\nthree");
    talker.end();
    CHECK(talker.logs() == "one\ntwo\nthree\n");
    const RunResult unheld = home.jamsock({"logs", "--key", key});
    CHECK(unheld.exit_code == 3);
    CHECK(unheld.err.starts_with("jamsock: No backend holds the key 'doc'.\n"));
}

TEST_CASE("what is written while no daemon lives is there, and reading it starts none") {
    Home home;
    const Talker talker(home, {"/bin/sh", "-c",
                               "(until [ -e $HOME/go ]; do sleep 0.01; done; echo still here) & "
                               "exec " +
                                   test_backend()});
    home.output_of({"daemon", "stop"});
    std::ofstream(home.path() + "/go").flush();
    CHECK(eventually([&] { return talker.logs() == "still here\n"; }));
    CHECK(home.keeper() == 0);
    home.output_of({"daemon", "start"});
    talker.say("and now\n");
    CHECK(talker.logs() == "still here\nand now\n");
}

TEST_CASE("-f prints what comes, over rotations, until the backend has ended") {
    Home home;
    const Talker talker(home);
    talker.say("before\n");
    Child all = talker.follow();
    Child latest = talker.follow({"-n", "0"});
    // Both read on before the next is said: what is rotated away too soon is not theirs.
    for (const auto& name : {"first", "second"}) {
        CHECK(talker.post("flood?n=9000000", "") == 200);
        talker.say(std::string(name) + "\n");
    }
    talker.end();
    const std::string came =
        numbered_lines(0, 90'000) + "first\n" + numbered_lines(0, 90'000) + "second\n";
    const RunResult everything = all.wait();
    CHECK(everything.exit_code == 0);
    CHECK((everything.out == "before\n" + came));
    const RunResult rest = latest.wait();
    CHECK(rest.exit_code == 0);
    CHECK(came.ends_with(rest.out));
    CHECK(fs::exists(talker.path("output.log.1")));
}

TEST_CASE("-f waits for a line however long nothing comes, and ends when it is interrupted") {
    Home home;
    const Talker talker(home);
    const std::string copy = home.path() + "/copy";
    Child follower = talker.follow_into(copy);
    for (const char* line : {"one\n", "two\n"}) {
        const std::string before = content_of(copy);
        talker.say(line);
        CHECK(eventually([&] { return content_of(copy) == before + line; }));
        CHECK(is_running(follower.pid()));
    }
    ::kill(follower.pid(), SIGINT);
    CHECK(follower.wait().exit_code == 128 + SIGINT);
}

TEST_CASE("-f tells when it was too slow for the rotation, and goes on with what is left") {
    Home home;
    const Talker talker(home);
    talker.say("before\n");
    const std::string copy = home.path() + "/copy";
    Child follower = talker.follow_into(copy);
    REQUIRE(eventually([&] { return content_of(copy) == "before\n"; }));
    ::kill(follower.pid(), SIGSTOP);
    CHECK(talker.post("flood?n=45000000", "") == 200);
    talker.say("after\n");
    const std::string kept = talker.logs();
    ::kill(follower.pid(), SIGCONT);
    talker.end();
    const RunResult followed = follower.wait();
    CHECK(followed.exit_code == 0);
    CHECK(followed.err == "jamsock: Some output was rotated away before it could be printed.\n");
    const std::string printed = content_of(copy);
    CHECK(printed.starts_with("before\nline 0 "));
    CHECK(printed.ends_with("after\n"));
    CHECK(printed.ends_with(kept));
    CHECK(printed.size() < 45'000'000);
}

TEST_CASE("-f ends when nobody reads it any more, though nothing comes") {
    Home home;
    const Talker talker(home);
    talker.say("only\n");
    const RunResult piped =
        run({"/bin/sh", "-c",
             JAMSOCK_BUILD_DIR "/bin/jamsock logs -f " + talker.id.str() + " | head -n 1"},
            home.options());
    CHECK(piped.out == "only\n");
    CHECK(home.keys().size() == 1);
}

TEST_CASE("--since leaves out what came before") {
    Home home;
    const Talker talker(home);
    talker.say("old\n");
    const std::int64_t said = wall_milliseconds();
    REQUIRE(eventually([&] { return wall_milliseconds() > said + 2500; }));
    talker.say("new\n");
    CHECK(talker.logs({"--since", iso_time(said + 2000)}) == "new\n");
    CHECK(talker.logs({"--since", iso_time(said - 60'000)}) == "old\nnew\n");
    CHECK(talker.logs({"--since", "1h"}) == "old\nnew\n");
    CHECK(talker.logs({"--since", "1h", "-n", "1"}) == "new\n");
    talker.end();
    CHECK(talker.logs({"--since", iso_time(said + 2000)}) == "new\n");
}

TEST_CASE("on a full disk the backend goes on, and what was lost of its output is told") {
    auto made = std::make_unique<Home>();
    const SmallDisk disk(made->path(), "8m");
    const std::unique_ptr<Home> ends_before_the_disk = std::move(made);
    Home& home = *ends_before_the_disk;
    if (!disk.is_mounted()) {
        MESSAGE("skipped: no right to mount a file system");
        return;
    }
    const Talker talker(home);
    talker.say("before\n");
    disk.fill(0);
    CHECK(talker.post("flood?n=1000000", "") == 200);
    CHECK(fetch(talker.url).status == 200);
    const auto lost = [&] { return home.backend(talker.id).dropped_log_bytes; };
    std::uint64_t before = 0;
    REQUIRE(eventually([&] { return std::exchange(before, lost()) == lost() && before > 0; }));
    CHECK(home.output_of({"status", talker.id.str()}).find("output lost") != std::string::npos);
    disk.free();
    talker.say("after\n");

    const std::string told =
        fmt::format("[jamsock: {} bytes of output were lost: the disk was full]\nafter\n", lost());
    const std::string log = talker.logs();
    CHECK(log.ends_with("\n" + told));
    const std::string kept = log.substr(0, log.size() - told.size());
    CHECK((("before\n" + numbered_lines(0, 10'000)).starts_with(kept.substr(0, kept.size() - 1))));
    talker.end();
    CHECK(home.backend(talker.id).dropped_log_bytes == lost());
}

namespace {

// Numbered, of 8 KiB each.
std::string long_lines(std::size_t first, std::size_t count) {
    std::string lines;
    for (std::size_t i = first; i < first + count; ++i)
        lines += fmt::format("{:x<8191}\n", fmt::format("line {} ", i));
    return lines;
}

bool write_long_lines(const Talker& talker, std::size_t count) {
    constexpr std::size_t at_a_time = 100;
    for (std::size_t i = 0; i < count; i += at_a_time) {
        if (talker.post("log", long_lines(i, at_a_time)) != 200) return false;
    }
    return true;
}

std::string log_target(const Talker& talker) {
    return "/v2/backend/" + talker.id.str() + "/logs/stream";
}

}  // namespace

TEST_CASE("a log stream has what is kept, then each line as it comes, and ends with the backend") {
    Home home;
    const Talker talker(home);
    REQUIRE(talker.post("log", "one\n  two\n\nth") == 200);
    EventStream stream(home, log_target(talker));
    CHECK(stream.is_accepted());
    CHECK(stream.next() == "one");
    CHECK(stream.next() == "  two");
    CHECK(stream.next() == "");
    CHECK(stream.socket().is_silent());
    REQUIRE(talker.post("log", "ree\r\n10 %\r20 %\n\xff\n") == 200);
    CHECK(stream.next() == "three");
    CHECK(stream.next() == "10 %\\r20 %");
    CHECK(stream.next() == "\xEF\xBF\xBD");
    REQUIRE(talker.post("log", "last") == 200);
    talker.end();
    CHECK(stream.next() == "last");
    CHECK_FALSE(stream.next());

    EventStream ended(home, log_target(talker));
    CHECK(ended.is_accepted());
    CHECK(ended.rest() == "one\n  two\n\nthree\n10 %\\r20 %\n\xEF\xBF\xBD\nlast\n");
}

TEST_CASE("who follows a log over its rotation misses nothing and meets nothing twice") {
    Home home;
    const Talker talker(home);
    EventStream early(home, log_target(talker));
    REQUIRE(early.is_accepted());
    auto flood = std::async(std::launch::async, [&] { return write_long_lines(talker, 3000); });
    std::string seen;
    for (std::size_t line = 0; line < 3000; ++line)
        seen += early.next().value() + '\n';
    CHECK(flood.get());
    CHECK((seen == long_lines(0, 3000)));
    CHECK(fs::exists(talker.path("output.log.2")));

    EventStream late(home, log_target(talker));
    REQUIRE(late.is_accepted());
    talker.end();
    CHECK(early.rest().empty());
    CHECK((late.rest() == talker.logs()));
}

TEST_CASE("a line of megabytes comes in pieces that clients read whole") {
    Home home;
    const Talker talker(home);
    const std::string line(1'000'000, 'x');
    REQUIRE(talker.post("log", line + "\nnext\n") == 200);
    EventStream stream(home, log_target(talker));
    REQUIRE(stream.is_accepted());
    std::string seen;
    for (auto event = stream.next(); event != "next"; event = stream.next()) {
        REQUIRE(event.value().size() <= 16 * 1024);
        seen += *event;
    }
    CHECK((seen == line));
}

TEST_CASE("a follower who takes nothing hinders neither the backend nor others, and is missed") {
    Home home;
    const Talker talker(home);
    EventStream stuck(home, log_target(talker));
    REQUIRE(stuck.is_accepted());
    REQUIRE(write_long_lines(talker, 6000));
    REQUIRE(talker.post("log", "the end\n") == 200);
    EventStream other(home, log_target(talker));
    REQUIRE(other.is_accepted());
    while (other.next().value() != "the end")
        continue;
    CHECK(fetch(talker.url).status == 200);
    talker.end();
    CHECK((other.rest().empty()));
    const std::string all = stuck.rest();
    CHECK(all.ends_with("\nthe end\n"));
    CHECK(all.find("some output was rotated away") != std::string::npos);
}
