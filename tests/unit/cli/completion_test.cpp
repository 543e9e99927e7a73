#include "cli/completion.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

const LiveNames live{.keys =
                         [] {
                             return std::vector<Candidate>{{"doc 1", "aaaaa"}, {"room", ""}};
                         },
                     .ids =
                         [] {
                             return std::vector<Candidate>{{"aaaaa", "doc 1"}};
                         },
                     .services =
                         [] {
                             return std::vector<Candidate>{{"editor", ""}};
                         }};

std::vector<std::string> completed(const std::vector<std::string>& words) {
    std::vector<std::string> found;
    for (const Candidate& candidate : completions(words, live).candidates)
        found.push_back(candidate.word);
    return found;
}

using Words = std::vector<std::string>;

bool has(const Words& words, const char* word) {
    return std::ranges::find(words, word) != words.end();
}

}  // namespace

TEST_CASE("the first word is a command, a group or help") {
    CHECK(completed({"conn"}) == Words{"connect"});
    CHECK(has(completed({""}), "service"));
    CHECK(has(completed({""}), "help"));
    CHECK(completed({"daemon", "st"}) == Words{"start", "stop", "status"});
    CHECK(completed({"nothing", ""}).empty());
    CHECK(completed({"service", "nothing", ""}).empty());
}

TEST_CASE("where a glob is read, a key is offered as one that means it alone") {
    const LiveNames odd{.keys = [] { return std::vector<Candidate>{{"doc*", ""}}; }};
    CHECK(completions({"terminate", "-k", "d"}, odd).candidates.front().word == "doc\\*");
    CHECK(completions({"connect", "-k", "d"}, odd).candidates.front().word == "doc*");
}

TEST_CASE("help has commands and topics") {
    CHECK(completed({"help", "exit"}) == Words{"exit-codes"});
    CHECK(completed({"help", "daemon", "res"}) == Words{"restart"});
}

TEST_CASE("values are those of the option that waits for one") {
    CHECK(completed({"connect", "-k", ""}) == Words{"doc 1", "room"});
    CHECK(completed({"connect", "--key", "d"}) == Words{"doc 1"});
    CHECK(completed({"connect", "--key=d"}) == Words{"--key=doc 1"});
    CHECK(completed({"status", "-s", ""}) == Words{"editor"});
    CHECK(completed({"list", "-o", "n"}) == Words{"name"});
    CHECK(completed({"list", "--output=n"}) == Words{"--output=name"});
    CHECK(completed({"connect", "--timeout", ""}).empty());
    CHECK(completions({"service", "create", "--cwd", ""}, live).are_files);
}

TEST_CASE("a word is what the command takes there") {
    CHECK(completed({"connect", ""}) == Words{"editor"});
    CHECK(completed({"status", ""}) == Words{"aaaaa"});
    CHECK(completed({"status", "--key", "doc 1", ""}) == Words{"editor"});
    CHECK(completed({"why", ""}) == Words{"doc 1", "room"});
    CHECK(completed({"history", "-k", "doc 1", ""}) == Words{"editor"});
    CHECK(completed({"completion", ""}) == Words{"bash", "zsh", "fish"});
    CHECK(completed({"daemon", "stop", ""}).empty());
}

TEST_CASE("a dash asks for the command's options, long and short") {
    const auto options = completed({"terminate", "-"});
    CHECK(has(options, "--grace"));
    CHECK(has(options, "-k"));
    CHECK(has(options, "--color"));
    CHECK_FALSE(has(options, "--"));
    CHECK(has(completed({"connect", "-"}), "--"));
}

TEST_CASE("behind the dashes the shell completes") {
    CHECK(completions({"connect", "--", ""}, live).are_files);
}

TEST_CASE("completions go out a line each, and those that no line can show are left out") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state, {list_of({held("a b", "default", "aaaaa"), held("a\nc", "default", "bbbbb"),
                         held("a\u202ed", "default", "ccccc")})});
    const Outcome done = call({"__complete", "status", "-k", "a"});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "a b\taaaaa of default, ready\n");
    CHECK(done.err == "");
}

TEST_CASE("what can't be asked for is told to nobody") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {"garbage\r\n\r\n"});
    const Outcome done = call({"__complete", "status", "-k", ""});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "");
    CHECK(done.err == "");
}
