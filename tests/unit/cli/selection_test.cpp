#include "cli/commands/selection.h"

#include <doctest/doctest.h>

#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

bool matches(const char* pattern, const char* key) {
    return KeyPattern::parse(pattern)->matches(*Key::parse(key));
}

}  // namespace

TEST_CASE("a key with *, ? or [ is a glob of whole characters, any other is itself") {
    CHECK(matches("doc-*", "doc-1"));
    CHECK(matches("doc-*", "doc-"));
    CHECK_FALSE(matches("doc-*", "a doc-1"));
    CHECK(matches("*", ".hidden/with/slashes"));
    CHECK(matches("?", "é"));
    CHECK(matches("?", "🙂"));
    CHECK_FALSE(matches("?", "éé"));
    CHECK(matches("[äö]", "ö"));
    CHECK(matches("a\\*", "a*"));
    CHECK_FALSE(matches("a\\*", "ab"));
    CHECK(matches("a\\b", "a\\b"));
    CHECK_FALSE(KeyPattern::parse("a\\b")->is_glob());
    CHECK_FALSE(KeyPattern::parse(""));
}

TEST_CASE("a key's own glob means that key alone") {
    for (const char* text : {"doc*", "a[1]", "what?", "a\\*", "plain", "a\\b"}) {
        CAPTURE(text);
        const auto pattern = KeyPattern::parse(glob_of(text));
        CHECK(pattern->matches(*Key::parse(text)));
        CHECK_FALSE(pattern->matches(*Key::parse(std::string(text) + "x")));
    }
    CHECK(glob_of("plain") == "plain");
    CHECK_FALSE(KeyPattern::parse(glob_of("doc*"))->matches(*Key::parse("doc-1")));
}

TEST_CASE("a glob ends all whose keys match, each once, and those of one service only") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state, {list_of({held("doc-1", "editor", "aaaaa"), held("doc-2", "editor", "bbbbb"),
                         held("doc-3", "viewer", "ccccc"), held("room", "editor", "ddddd")}),
                answer(200, "{}"), answer(200, "{}")});
    const Outcome done =
        call({"terminate", "--no-wait", "-s", "editor", "-k", "doc-*", "-k", "doc-1"});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "aaaaa terminating\nbbbbb terminating\n");
}

TEST_CASE("a glob that nothing matches is told, and leads to the list") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {list_of({held("room", "editor", "ddddd")})});
    const Outcome done = call({"terminate", "-k", "doc-*"});
    CHECK(done.exit_code == 3);
    CHECK(done.err == "jamsock: No backend holds a key that matches 'doc-*'.\nTry: jamsock list\n");
}

TEST_CASE("what shows one backend refuses a glob that means two") {
    const StateDirectory state;
    const FakeDaemon daemon(
        state, {list_of({held("doc-1", "default", "aaaaa"), held("doc-2", "default", "bbbbb")})});
    const Outcome done = call({"status", "-k", "doc-*"});
    CHECK(done.exit_code == 6);
    CHECK(done.err.find("2 backends hold a key that matches 'doc-*'") != std::string::npos);
}

TEST_CASE("--service goes with --key alone, and a word beside both is too much") {
    const StateDirectory state;
    CHECK(call({"status", "aaaaa", "-s", "editor"}).exit_code == 2);
    CHECK(call({"status", "aaaaa", "-s", "editor", "-k", "doc"}).exit_code == 2);
}
