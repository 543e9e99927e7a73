#include "cli/output_form.h"

#include <doctest/doctest.h>

#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

std::string two_backends() {
    KeyEntry keyless = held("b", "editor", "bbbbb");
    keyless.key.reset();
    return list_of({keyless, held("a\nb", "default", "aaaaa")});
}

std::string list_with(const std::vector<std::string>& options) {
    const StateDirectory state;
    const FakeDaemon daemon(state, {two_backends()});
    std::vector<std::string> words{"list"};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome done = call(words);
    CHECK(done.exit_code == 0);
    CHECK(done.err == "");
    return done.out;
}

}  // namespace

TEST_CASE("the list gives ids alone, exact keys alone, or the answer as it came") {
    CHECK(list_with({"-q"}) == "bbbbb\naaaaa\n");
    CHECK(list_with({"-o", "name"}) == "bbbbb\naaaaa\n");
    CHECK(list_with({"-0"}) == std::string("a\nb\0", 4));
    CHECK(list_with({"--json"}) == list_with({"-o", "json"}));
    CHECK(list_with({"--json"}).starts_with("{\"keys\":["));
    CHECK(list_with({"-o", "text"}) == list_with({}));
}

TEST_CASE("the list has only what is asked for") {
    CHECK(list_with({"-q", "-k", "a*"}) == "aaaaa\n");
    CHECK(list_with({"-0", "-k", "z"}) == "");
    const StateDirectory state;
    const FakeDaemon daemon(state, {list_of({}), list_of({})});
    CHECK(call({"list", "editor"}).exit_code == 0);
    CHECK(call({"list", "-s", "editor/staging", "-o", "wide"}).exit_code == 0);
    CHECK(daemon.requests().at(0).starts_with("GET /v2/account/local/keys?service=editor HTTP"));
    CHECK(daemon.requests().at(1).starts_with(
        "GET /v2/account/local/keys?service=editor&usage=true HTTP"));
}

TEST_CASE("a form that a command hasn't is refused with those that it has") {
    const StateDirectory state;
    const Outcome done = call({"list", "-o", "url"});
    CHECK(done.exit_code == 2);
    CHECK(done.err ==
          "jamsock: The option --output needs one of text, json, name, wide; 'url' is none.\n"
          "Try: jamsock list --help\n");
    CHECK(call({"list", "-0", "--json"}).exit_code == 2);
}

TEST_CASE("a connect gives the id alone, or lines for a shell") {
    const StateDirectory state;
    const ScopedVariable shell("SHELL", "/bin/bash");
    const FakeDaemon daemon(state,
                            {answer(200, connected("knrv5")), answer(200, connected("knrv5"))});
    CHECK(call({"connect", "-k", "it's\n", "-o", "name"}).out == "knrv5\n");
    CHECK(call({"connect", "-k", "it's\n", "-o", "env"}).out ==
          "export JAMSOCK_BACKEND_ID=knrv5\nexport JAMSOCK_KEY='it'\\''s\n'\n"
          "export JAMSOCK_SECRET_TOKEN=s\nexport JAMSOCK_URL=http://127.0.0.1:9090/t/\n");
}

TEST_CASE("fish has quotes of its own") {
    CHECK(shell_assignments({{"A", "it's\\"}}, true) == "set -gx A 'it\\'s\\\\'\n");
    CHECK(shell_assignments({{"A", "it's\\"}}, false) == "export A='it'\\''s\\'\n");
}

TEST_CASE("a quiet connect says nothing beside the URL, also on a terminal") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5"))});
    const Outcome done = call_with(true, {"connect", "-k", "doc", "-q"});
    CHECK(done.out == "http://127.0.0.1:9090/t/\n");
    CHECK(done.err == "");
}

TEST_CASE("the user, their data and the limits of a start go out with a connect") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5"))});
    REQUIRE(call({"connect", "-k", "doc", "-u", "ann", "-a", R"({"role":"ö"})", "-i", "60", "-l",
                  "3600", "-t", "v2"})
                .exit_code == 0);
    const std::string request = daemon.requests().at(0);
    const auto sent = ConnectRequest::from_json(request.substr(request.find("\r\n\r\n") + 4));
    REQUIRE(sent);
    CHECK(sent->user == "ann");
    CHECK(sent->auth == R"({"role":"\u00f6"})");
    CHECK(sent->limits.max_idle == 60);
    CHECK(sent->limits.lifetime == 3600);
    CHECK(sent->tag == "v2");
}

TEST_CASE("user data that is no object is refused, and a look-up takes no limits") {
    const StateDirectory state;
    CHECK(call({"connect", "-k", "doc", "-a", "[]"}).err.find("a JSON object") !=
          std::string::npos);
    CHECK(call({"connect", "-k", "doc", "-a", "{}, \"key\":\"x\""}).exit_code == 2);
    CHECK(call({"connect", "--no-spawn", "-k", "doc", "-i", "5"}).exit_code == 2);
    CHECK(call({"lookup", "-k", "doc", "-l", "5"}).exit_code == 2);
}

TEST_CASE("colours are on and off as --color says") {
    const StateDirectory state;
    CHECK(call({"list", "-0", "--json", "--color", "always"}).err.starts_with("\x1b[1;31m"));
    CHECK(call({"list", "-0", "--json", "--color=never"}).err.starts_with("jamsock:"));
    CHECK(call({"list", "--color", "blue"}).exit_code == 2);
}

TEST_CASE("another version of the daemon is told once, on stderr, and the answer stands") {
    const StateDirectory state;
    const std::string found = list_of({held("doc", "default", "aaaaa")});
    const auto named = [](std::string text, const std::string& version) {
        return text.insert(text.find("Content-Type"), "Server: jamsock/" + version + "\r\n");
    };
    const std::string terminated = answer(200, "{}");
    const FakeDaemon daemon(state, {named(found, "0.0.9"), named(terminated, "0.0.9"),
                                    named(found, std::string(version()))});
    const Outcome done = call({"terminate", "--no-wait", "-k", "doc"});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "aaaaa terminating\n");
    CHECK(done.err.find("0.0.9") != std::string::npos);
    CHECK(done.err.find("0.0.9") == done.err.rfind("0.0.9"));
    CHECK(call({"list"}).err == "");
}
