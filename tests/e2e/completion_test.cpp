// Completions in the real shells: what Tab makes of a line, and that the line then means it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/terminal_screen.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

struct Shell {
    std::string name;
    std::vector<std::string> argv;
    std::string setup;
    std::string double_quoted;  // how it goes on within these
};

std::vector<Shell> shells() {
    return {{"bash",
             {"bash", "--norc", "--noprofile", "-i"},
             "source <(jamsock completion bash)",
             R"("it's a \$key")"},
            {"zsh",
             {"zsh", "-f", "-i"},
             "autoload -U compinit; compinit -u -D; source <(jamsock completion zsh)",
             R"("it's a \$key")"},
            {"fish",
             {"fish", "--no-config", "-i"},
             "jamsock completion fish | source",
             R"("it's a \$key")"}};
}

RunOptions options_of(const Home& home, const TemporaryDirectory& user) {
    RunOptions options = home.options();
    options.environment["HOME"] = user.path();
    options.environment["PATH"] =
        fmt::format("{}/bin:{}", JAMSOCK_BUILD_DIR, options.environment["PATH"]);
    return options;
}

// A shell that waits for its first line and has jamsock's completions.
class CompletingShell {
  public:
    CompletingShell(const Home& home, const Shell& shell)
        : screen_(100, 40, shell.argv, options_of(home, user_)) {
        // The setup's own words must not count for its end.
        screen_.enter(shell.setup + "; echo it is'' set up");
        REQUIRE(screen_.shows("\nit is set up"));
    }

    // What the line becomes once Tab is pressed; it must show `expected`.
    bool completes(const std::string& typed, const std::string& expected) const {
        screen_.press("C-u");
        screen_.type(typed);
        if (!screen_.shows(typed)) return false;
        screen_.press("Tab");
        return screen_.shows(expected);
    }
    // Runs the line that stands there.
    bool answers(const std::string& expected) const {
        screen_.press("Enter");
        return screen_.shows(expected);
    }
    void clear() const {
        screen_.enter("clear");
        CHECK(eventually([&] { return screen_.text().find("jamsock") == std::string::npos; }));
    }
    std::string text() const { return screen_.text(); }

  private:
    TemporaryDirectory user_;
    TerminalScreen screen_;
};

}  // namespace

TEST_CASE("in every shell Tab completes commands, options, keys, ids and services as they run") {
    const Home home;
    const std::string id = home.output_of({"connect", "-k", "it's a $key", "-o", "name"});
    home.output_of({"service", "create", "editor", "--", "/bin/true"});
    for (const Shell& shell : shells()) {
        CAPTURE(shell.name);
        const CompletingShell line(home, shell);
        const auto completes = [&](const char* typed, const std::string& expected) {
            CHECK_MESSAGE(line.completes(typed, expected), typed << " on:\n" << line.text());
        };
        completes("jamsock termi", "jamsock terminate");
        completes("jamsock service cre", "jamsock service create");
        completes("jamsock daemon resta", "jamsock daemon restart");
        completes("jamsock terminate --no-w", "jamsock terminate --no-wait");
        completes("jamsock list -o na", "jamsock list -o name");
        completes("jamsock connect ed", "jamsock connect editor");
        completes("jamsock help exit", "jamsock help exit-codes");
        completes(("jamsock logs " + id.substr(0, 4)).c_str(), "jamsock logs " + id);
        completes("jamsock status -k it", R"(jamsock status -k it\'s\ a\ \$key)");
        CHECK_MESSAGE(line.answers("backend        " + id), line.text());
        completes("jamsock status -k \"it", shell.double_quoted);
        CHECK_MESSAGE(line.answers("backend        " + id), line.text());
        completes("jamsock lookup -o name --key=it", R"(--key=it\'s\ a\ \$key)");
        CHECK_MESSAGE(line.answers("\n" + id), line.text());
    }
}

TEST_CASE("without a daemon Tab says nothing and starts none") {
    const Home home;
    for (const Shell& shell : shells()) {
        CAPTURE(shell.name);
        const CompletingShell line(home, shell);
        CHECK_MESSAGE(line.completes("jamsock status -k it", "jamsock status -k it"), line.text());
        CHECK_MESSAGE(line.completes("jamsock stat", "jamsock status"), line.text());
        CHECK(line.text().find("jamsock:") == std::string::npos);
        CHECK(line.text().find("rror") == std::string::npos);
    }
    CHECK(home.keeper() == 0);
}

TEST_CASE("behind the dashes Tab completes what the shell does") {
    const Home home;
    for (const Shell& shell : shells()) {
        CAPTURE(shell.name);
        const CompletingShell line(home, shell);
        CHECK_MESSAGE(line.completes("jamsock connect -k a -- cat /etc/hostn",
                                     "jamsock connect -k a -- cat /etc/hostname"),
                      line.text());
    }
}

TEST_CASE("a key that would be a command within quotes stays a key") {
    const Home home;
    const std::string trap = home.path() + "/trap";
    const std::string keys[] = {"a$(touch " + trap + ")", "b'; touch " + trap + "; '",
                                "c\"; touch " + trap + "; \""};
    for (const std::string& key : keys)
        home.output_of({"connect", "-k", key});
    for (const Shell& shell : shells()) {
        CAPTURE(shell.name);
        const CompletingShell line(home, shell);
        for (const char* typed :
             {"jamsock status -k \"a", "jamsock status -k 'a", "jamsock status -k \"b",
              "jamsock status -k 'b", "jamsock status -k \"c", "jamsock status -k 'c"}) {
            CAPTURE(typed);
            CHECK_MESSAGE(line.completes(typed, "touch"), line.text());
            CHECK_MESSAGE(line.answers("fencing token"), line.text());
            line.clear();
        }
        CHECK_FALSE(std::filesystem::exists(trap));
    }
}
