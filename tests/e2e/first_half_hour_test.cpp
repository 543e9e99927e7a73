// Somebody's first half hour with jamsock on a terminal, narrow and wide: nothing wraps, nothing
// lies, and what an error advises works when it is pasted.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tests/support/home.h"
#include "tests/support/terminal_screen.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// A shell on a terminal, one command at a time.
class Session {
  public:
    Session(const Home& home, int columns)
        : screen_(columns, 50, {"bash", "--norc", "--noprofile", "-i"}, options_of(home)) {
        screen_.enter("PS1='$ '; cd; clear");
        REQUIRE(screen_.shows("$"));
    }

    // What the screen shows when the command is done, without the command itself.
    std::string run(const std::string& command) {
        const std::string mark = fmt::format("done-{}", ++commands_);
        screen_.enter("clear; " + command + fmt::format("; echo \"done\"-{}=$?", commands_));
        REQUIRE_MESSAGE(screen_.shows("\n" + mark + "="), screen_.text());
        const std::string text = screen_.text();
        CHECK_MESSAGE(!screen_.wraps(), text);
        const auto end = text.find(mark + "=");
        exit_code_ = std::stoi(text.substr(end + mark.size() + 1));
        return text.substr(0, end);
    }
    int exit_code() const { return exit_code_; }

    // Runs what the last "Try: …" on the screen advises.
    std::string run_advice(const std::string& text) {
        const auto start = text.rfind("Try: ");
        REQUIRE(start != std::string::npos);
        const std::string advice = text.substr(start + 5, text.find('\n', start) - start - 5);
        CAPTURE(advice);
        const std::string answer = run(advice);
        CHECK(exit_code() != 2);
        CHECK(exit_code() != 127);
        return answer;
    }

  private:
    RunOptions options_of(const Home& home) const {
        RunOptions options = home.options();
        options.environment["HOME"] = user_.path();
        options.environment["PATH"] =
            fmt::format("{}/bin:{}", JAMSOCK_BUILD_DIR, options.environment["PATH"]);
        return options;
    }

    TemporaryDirectory user_;
    TerminalScreen screen_;
    int commands_ = 0;
    int exit_code_ = 0;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a first half hour on a terminal of 80 and of 200 columns") {
    for (const int columns : {80, 200}) {
        CAPTURE(columns);
        const Home home;
        Session session(home, columns);

        CHECK(has(session.run("jamsock connect -k document-123"), "spawned  yes"));
        CHECK(has(session.run("jamsock connect -k document-123"), "no, it was running"));
        const std::string list = session.run("jamsock list");
        CHECK(has(list, "KEY           SERVICE  BACKEND  STATUS  CONNECTIONS  IDLE  AGE"));
        CHECK(has(list, "document-123  default"));
        CHECK(has(session.run("jamsock ls -o wide"), "MEMORY"));
        CHECK(has(session.run("jamsock status -k document-123"), "connections    0"));

        const std::string nobody = session.run("jamsock lookup -k another");
        CHECK(session.exit_code() == 3);
        CHECK(has(nobody, "No backend holds the key 'another'."));
        CHECK(has(session.run_advice(nobody), "spawned  yes"));
        CHECK(has(session.run_advice(session.run("jamsock conect -k a")), "connect"));

        session.run("jamsock service create shop -- sh -c 'echo it broke; exit 3'");
        const std::string broken = session.run("jamsock connect shop -k till");
        CHECK(session.exit_code() == 5);
        CHECK(has(broken, "exited with code 3"));
        CHECK(has(broken, "    it broke"));
        session.run_advice(broken);
        const std::string why = session.run("jamsock why -s shop -k till");
        CHECK(has(why, "exited with code 3"));
        CHECK(has(why, "it broke"));
        CHECK(has(session.run("jamsock history -s shop -k till"), "exited with code 3"));

        const std::string echoed =
            session.run("jamsock exec -k document-123 -- sh -c 'echo for $JAMSOCK_KEY; exit 4'");
        CHECK(session.exit_code() == 4);
        CHECK(has(echoed, "for document-123"));

        CHECK(has(session.run("jamsock stop -k document-123"), "terminated"));
        CHECK(has(session.run("jamsock why document-123"), "jamsock"));
        CHECK(has(session.run("jamsock kill -k '*'"), "terminated"));
        CHECK(has(session.run("jamsock list"), "No backends."));
        CHECK(has(session.run("jamsock daemon stop"), "The daemon stopped"));
    }
}
