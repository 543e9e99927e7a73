#include "cli/command_line.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <iostream>
#include <sstream>

#include "common/api_types.h"
#include "common/service_types.h"
#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

TEST_CASE("connect prints the URL alone, waits until ready, and sends the key") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5"))});
    const Outcome done = call({"connect", "--key", "document-123"});
    CHECK(done.exit_code == 0);
    CHECK(done.out == "http://127.0.0.1:9090/t/\n");
    CHECK(done.err == "");
    const std::string request = daemon.requests().at(0);
    CHECK(request.starts_with("POST /v2/service/local/default/default/connect?wait=ready "));
    CHECK(request.ends_with("\r\n\r\n{\"key\":\"document-123\"}"));
}

TEST_CASE("on a terminal connect adds the details to stderr, and --json is the answer as it is") {
    const StateDirectory state;
    const FakeDaemon daemon(state,
                            {answer(200, connected("knrv5")), answer(200, connected("knrv5"))});
    const Outcome shown = call_with(true, {"connect", "--key", "doc"});
    CHECK(shown.out == "http://127.0.0.1:9090/t/\n");
    CHECK(shown.err.find("knrv5") != std::string::npos);
    const Outcome json = call_with(true, {"connect", "--key", "doc", "--json", "--no-wait"});
    CHECK(json.out == connected("knrv5") + "\n");
    CHECK(json.err == "");
    CHECK(
        daemon.requests().at(1).starts_with("POST /v2/service/local/default/default/connect HTTP"));
}

TEST_CASE("the key may come from JAMSOCK_KEY, and --key goes before it") {
    const StateDirectory state;
    const ScopedVariable key("JAMSOCK_KEY", "from-the-environment");
    const std::string answered = answer(200, connected("knrv5"));
    const FakeDaemon daemon(state, {answered, answered});
    CHECK(call({"lookup", "--no-spawn"}).exit_code == 0);
    CHECK(daemon.requests().at(0).ends_with("{\"key\":\"from-the-environment\",\"spawn\":false}"));
    CHECK(call({"connect", "-k", "other"}).exit_code == 0);
    CHECK(daemon.requests().at(1).ends_with("{\"key\":\"other\"}"));
}

TEST_CASE("an option that may be repeated takes one word, and the service may stand behind it") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5")), answer(200, ok_json())});
    REQUIRE(call({"connect", "--key", "k", "-e", "A=1", "editor"}).exit_code == 0);
    CHECK(daemon.requests().at(0).starts_with("POST /v2/service/local/editor/default/connect"));
    REQUIRE(call({"service", "update", "-e", "A=1", "--unset", "B", "editor"}).exit_code == 0);
    CHECK(daemon.requests().at(1).starts_with("POST /v2/service/local/editor/default/update"));
}

TEST_CASE("a command in place goes with its absolute path, directory and base environment") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, connected("knrv5"))});
    const std::vector<std::string> words{"connect", "editor", "--key", "k",  "-e", "A=1",
                                         "--tag",   "t",      "--",    "sh", "-c", "--key"};
    REQUIRE(call(words).exit_code == 0);
    const std::string request = daemon.requests().at(0);
    const auto sent = ConnectRequest::from_json(request.substr(request.find("\r\n\r\n") + 4));
    REQUIRE(sent);
    REQUIRE(sent->command);
    CHECK(sent->command->argv.front().ends_with("/bin/sh"));
    CHECK(sent->command->argv.front().starts_with("/"));
    CHECK(sent->command->argv.back() == "--key");
    CHECK(sent->command->cwd == std::filesystem::current_path().string());
    CHECK(sent->base_environment->contains("PATH"));
    CHECK_FALSE(sent->base_environment->contains("JAMSOCK_HOME"));
    CHECK(sent->env == EnvironmentMap{{"A", "1"}});
    CHECK(sent->tag == "t");
}

TEST_CASE("a connection lost midway is tried once more with a key, and never without one") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {"", answer(200, connected("knrv5")), "", "", ""});
    CHECK(call({"connect", "--key", "k"}).exit_code == 0);
    CHECK(daemon.requests().size() == 2);
    CHECK(call({"connect", "--key", "k"}).exit_code == 69);
    CHECK(daemon.requests().size() == 4);
    const Outcome lost = call({"connect"});
    CHECK(lost.exit_code == 69);
    CHECK(lost.err ==
          "jamsock: The daemon closed the connection before it answered.\n"
          "Try: jamsock daemon logs\n");
    CHECK(daemon.requests().size() == 5);
}

TEST_CASE("a time limit that passes exits 124 and says what was waited for") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {FakeDaemon::silence});
    const Outcome late = call({"connect", "--key", "k", "--timeout", "0.05"});
    CHECK(late.exit_code == 124);
    CHECK(late.err ==
          "jamsock: The backend wasn't ready within 0.05 s.\n"
          "Try: jamsock status --key k\n");
}

TEST_CASE("the daemon's refusals decide the exit code") {
    const StateDirectory state;
    const std::vector<std::pair<ErrorCode, int>> table{{ErrorCode::key_unheld_no_spawn_config, 3},
                                                       {ErrorCode::service_not_found, 4},
                                                       {ErrorCode::backend_ended_before_ready, 5},
                                                       {ErrorCode::key_held, 6},
                                                       {ErrorCode::shutting_down, 69},
                                                       {ErrorCode::storage_full, 74},
                                                       {ErrorCode::store_busy, 75},
                                                       {ErrorCode::forbidden, 77},
                                                       {ErrorCode::usage_limit, 1}};
    std::vector<std::string> script;
    for (const auto& [code, exit_code] : table) {
        script.push_back(failed(code, "No."));
        // A daemon that shuts down may be one that restarts: asked once more.
        if (code == ErrorCode::shutting_down) script.push_back(failed(code, "No."));
    }
    const FakeDaemon daemon(state, script);
    for (const auto& [code, exit_code] : table) {
        const Outcome refused = call({"connect", "--key", "k"});
        CHECK(refused.exit_code == exit_code);
        CHECK(refused.out == "");
        CHECK(refused.err.starts_with("jamsock: No.\n"));
    }
}

TEST_CASE(
    "without daemon and backends a look-up finds nothing, a list is empty, and none is started") {
    const StateDirectory state;
    const Outcome lookup = call({"lookup", "--key", "a b"});
    CHECK(lookup.exit_code == 3);
    CHECK(lookup.err ==
          "jamsock: No backend holds the key 'a b'.\n"
          "Try: jamsock connect --key 'a b'\n");
    CHECK(call({"connect", "--no-spawn", "--key", "a"}).exit_code == 3);
    CHECK(call({"list"}).out == "");
    CHECK(call({"ls", "--json"}).out == "{\"keys\":[]}\n");
    const Outcome seen = call_with(true, {"list"});
    CHECK(seen.exit_code == 0);
    CHECK(seen.err == "No backends.\n");
    CHECK(call({"status", "knrv5"}).exit_code == 4);
    CHECK(call({"status", "--key", "a"}).exit_code == 3);
    CHECK(call({"terminate", "--key", "a"}).exit_code == 3);
    CHECK(call({"terminate", "knrv5"}).exit_code == 4);
    CHECK(call({"revoke", "knrv5", "--user", "ann"}).exit_code == 4);
    CHECK(call({"revoke", "--key", "a", "--user", "ann"}).exit_code == 3);
    CHECK(call({"daemon", "status"}).exit_code == 3);
    CHECK(call({"daemon", "stop"}).out == "The daemon isn't running.\n");
}

TEST_CASE("list is a table on a terminal and rows between tabs in a pipe") {
    const StateDirectory state;
    const std::string keys = list_of({held("doc", "default", "knrv5")});
    const FakeDaemon daemon(state, {keys, keys});
    CHECK(call({"list"}).out.starts_with("doc\tdefault\tknrv5\tready\t0\t0\t"));
    CHECK(call_with(true, {"list"}).out.starts_with("KEY  SERVICE  BACKEND  STATUS"));
}

TEST_CASE("status by key asks for the holder of exactly that key and service") {
    const StateDirectory state;
    const std::string keys =
        list_of({held("doc-1", "default", "aaaaa"), held("doc", "other", "bbbbb"),
                 held("doc", "default", "ccccc")});
    const FakeDaemon daemon(state, {keys, ended("ccccc"), keys, ended("bbbbb"), keys});
    CHECK(call({"status", "--key", "doc"}).out.starts_with("backend        ccccc\n"));
    CHECK(daemon.requests().at(1).starts_with("GET /v2/backend/ccccc "));
    CHECK(call({"status", "other", "--key", "doc"}).exit_code == 0);
    CHECK(daemon.requests().at(3).starts_with("GET /v2/backend/bbbbb "));
    CHECK(call({"status", "--key", "do"}).exit_code == 3);
}

TEST_CASE("terminate of several keys asks for the list once, and an unheld one stops no other") {
    const StateDirectory state;
    const std::string ok = answer(200, ok_json());
    const std::string keys =
        list_of({held("a", "default", "aaaaa"), held("c", "default", "ccccc")});
    const FakeDaemon daemon(state, {keys, ok, ok});
    const Outcome done = call({"terminate", "--no-wait", "-k", "a", "--key", "b", "--key=c"});
    CHECK(done.exit_code == 3);
    CHECK(done.out == "aaaaa terminating\nccccc terminating\n");
    CHECK(done.err == "jamsock: No backend holds the key 'b'.\nTry: jamsock connect --key b\n");
    CHECK(daemon.requests().size() == 3);
}

TEST_CASE("terminate tells all to end before it waits for one, and each has its own outcome") {
    const StateDirectory state;
    const std::string ok = answer(200, ok_json());
    const FakeDaemon daemon(
        state, {ok, failed(ErrorCode::backend_not_found, "There is no 'bbbbb'."), ok, ok,
                ended("aaaaa"), failed(ErrorCode::backend_not_running, "Ended."), ended("ccccc")});
    const Outcome done = call({"terminate", "aaaaa", "bbbbb", "ccccc", "--grace", "2"});
    CHECK(done.exit_code == 4);
    CHECK(done.out ==
          "aaaaa terminated: exited with code 0\nccccc terminated: exited with code 0\n");
    CHECK(done.err == "jamsock: There is no 'bbbbb'.\n");
    const auto requests = daemon.requests();
    CHECK(requests.at(0).starts_with("POST /v2/backend/aaaaa/terminate HTTP"));
    CHECK(requests.at(0).ends_with("{\"hard\":false,\"grace_seconds\":2}"));
    CHECK(requests.at(2).starts_with("POST /v2/backend/ccccc/terminate HTTP"));
    CHECK(requests.at(3).starts_with("POST /v2/backend/aaaaa/terminate?wait=terminated HTTP"));
}

TEST_CASE(
    "revoke asks for the end of a user's tokens, or of a URL's, and says how many there were") {
    const StateDirectory state;
    const std::string token(43, 'T');
    const std::string url = "http://127.0.0.1:9090/" + token + "/";
    const std::string one = answer(200, RevokeResponse{1}.to_json());
    const FakeDaemon daemon(state, {list_of({held("doc", "editor", "knrv5")}),
                                    answer(200, RevokeResponse{2}.to_json()), one, one, one});
    const Outcome users = call({"revoke", "editor", "--key", "doc", "--user", "ann", "--close"});
    CHECK(users.out == "knrv5: 2 tokens revoked\n");
    CHECK(daemon.requests().at(1).starts_with("POST /v2/backend/knrv5/revoke HTTP"));
    CHECK(daemon.requests().at(1).ends_with(R"({"user":"ann","close":true})"));

    const std::string revocation = R"({"token":")" + token + "\"}";
    CHECK(call({"revoke", "knrv5", "--token", token}).out == "knrv5: 1 token revoked\n");
    CHECK(daemon.requests().at(2).ends_with(revocation));
    CHECK(call({"revoke", "knrv5", "--token", url, "--json"}).out ==
          R"({"status":"ok","revoked":1})"
          "\n");
    CHECK(daemon.requests().at(3).ends_with(revocation));
    std::istringstream piped(url + "\nmore\n");
    std::streambuf* const before = std::cin.rdbuf(piped.rdbuf());
    CHECK(call({"revoke", "knrv5", "--token", "-"}).exit_code == 0);
    std::cin.rdbuf(before);
    CHECK(daemon.requests().at(4).ends_with(revocation));
}

TEST_CASE("revoke refuses what names no tokens, and shows no secret that was mistyped") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {});
    const auto refused = [](std::vector<std::string> words) {
        words.insert(words.begin(), "revoke");
        const Outcome outcome = call(words);
        CHECK(outcome.exit_code == 2);
        CHECK(outcome.out.empty());
        return outcome.err;
    };
    const char* one_of_two =
        "jamsock: Give --user or --token, and not both.\nTry: jamsock revoke --help\n";
    CHECK(refused({"knrv5"}) == one_of_two);
    CHECK(refused({"knrv5", "--user", "ann", "--token", "x"}) == one_of_two);
    CHECK(refused({"--user", "ann"}).find("the id of a backend, or --key") != std::string::npos);
    CHECK(refused({"a", "b", "--user", "ann"}).find("one backend at a time") != std::string::npos);
    CHECK(refused({"knrv5", "--user", "\xff"}).find("not valid UTF-8") != std::string::npos);
    const std::string mistyped(44, 'T');
    CHECK(refused({"knrv5", "--token", mistyped}) ==
          "jamsock: The option --token needs a connection URL, or the 43 characters of its token.\n"
          "Try: jamsock revoke --help\n");
    CHECK(daemon.requests().empty());
}

TEST_CASE("stop and kill are terminate, softly and hard; -q prints no outcome") {
    const StateDirectory state;
    const std::string ok = answer(200, ok_json());
    const FakeDaemon daemon(state, {ok, ok, ended("aaaaa"), ok, ok, ended("aaaaa"), ok, ok,
                                    failed(ErrorCode::backend_not_found, "None.")});
    CHECK(call({"stop", "aaaaa", "--grace", "3"}).out == "aaaaa terminated: exited with code 0\n");
    CHECK(call({"kill", "aaaaa"}).out == "aaaaa terminated: exited with code 0\n");
    const auto requests = daemon.requests();
    CHECK(requests.at(0).ends_with(R"({"hard":false,"grace_seconds":3})"));
    CHECK(requests.at(3).ends_with(R"({"hard":true})"));
    CHECK(call({"terminate", "aaaaa", "-q"}).out == "");
    const Outcome unknown = call({"kill", "-q", "--no-wait", "bbbbb"});
    CHECK(unknown.exit_code == 4);
    CHECK(unknown.err == "jamsock: None.\n");
    CHECK(call({"kill", "aaaaa", "--grace", "1"}).exit_code == 2);
    CHECK(call({"stop", "aaaaa", "--hard"}).exit_code == 2);
}

TEST_CASE("terminate --no-wait says that the end has begun") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, ok_json())});
    const Outcome done = call({"terminate", "aaaaa", "--hard", "--no-wait"});
    CHECK(done.out == "aaaaa terminating\n");
    CHECK(daemon.requests().size() == 1);
    CHECK(daemon.requests().at(0).ends_with("{\"hard\":true}"));
}

TEST_CASE("env prints lines for the shell, JSON, or what takes them back") {
    const StateDirectory state;
    const std::string token = "local." + std::string(43, 't');
    state.write("api-token", token + "\n");
    const std::string version = answer(200, VersionInfo{"0.1.0", 20, 0, 9090, 8080, 3}.to_json());
    const FakeDaemon daemon(state, {version, version, version, version, version});
    const ScopedVariable shell("SHELL", "/bin/bash");
    CHECK(call({"env", "editor/staging"}).out.find("JAMSOCKET_SERVICE=editor/staging\n") !=
          std::string::npos);
    CHECK(call({"env", "editor"}).out ==
          "export JAMSOCKET_ACCOUNT=local\n"
          "export JAMSOCKET_API_URL=http://127.0.0.1:8080\n"
          "export JAMSOCKET_DEV_PORT=8080\n"
          "export JAMSOCKET_SERVER_API=http://127.0.0.1:8080\n"
          "export JAMSOCKET_SERVICE=editor\n"
          "export JAMSOCKET_TOKEN=" +
              token + "\n");
    const ScopedVariable fish("SHELL", "/usr/bin/fish");
    CHECK(call({"env"}).out.starts_with("set -gx JAMSOCKET_ACCOUNT local\n"));
    CHECK(call({"env", "--shell", "sh"}).out.starts_with("export JAMSOCKET_ACCOUNT=local\n"));
    CHECK(call({"env", "--json"}).out.starts_with(R"({"JAMSOCKET_ACCOUNT":"local",)"));
    CHECK(call({"env", "--unset"}).out.starts_with("set -e JAMSOCKET_SERVER_API\n"));
    CHECK(
        call({"env", "--unset", "--shell", "sh"}).out.starts_with("unset JAMSOCKET_SERVER_API\n"));
    CHECK(call({"env", "--shell", "csh"}).exit_code == 2);
    const Outcome no_lines = call({"env", "--unset", "--json"});
    CHECK(no_lines.exit_code == 2);
    CHECK(no_lines.out.empty());
    CHECK(no_lines.err.ends_with("Try: jamsock env --unset\n"));
}

TEST_CASE("env fails where the daemon has no token") {
    const StateDirectory state;
    const FakeDaemon daemon(state,
                            {answer(200, VersionInfo{"0.1.0", 20, 0, 9090, 8080, 3}.to_json())});
    CHECK(call({"env"}).exit_code == 69);
}

TEST_CASE("daemon status shows a running daemon, daemon start leaves it alone") {
    const StateDirectory state;
    const std::string version = VersionInfo{"0.1.0", 20, 0, 9090, 8080, 3}.to_json();
    const FakeDaemon daemon(state,
                            {answer(200, version), answer(200, version), answer(200, version)});
    const Outcome shown = call({"daemon", "status"});
    CHECK(shown.exit_code == 0);
    CHECK(shown.out.find("state directory  " + state.path() + "\n") != std::string::npos);
    CHECK(shown.out.find(std::to_string(::getpid()) + " (keeper), 20 (worker)") !=
          std::string::npos);
    CHECK(call({"daemon", "status", "--json"}).out == version + "\n");
    CHECK(call({"daemon", "start"}).out ==
          "The daemon was running already (worker pid 20, proxy on port 9090, "
          "API on port 8080).\n");
}

TEST_CASE("daemon logs prints the end of the log") {
    const StateDirectory state;
    CHECK(call({"daemon", "logs"}).exit_code == 69);
    state.write(state_file::log, "one\ntwo\nthree\n");
    CHECK(call({"daemon", "logs", "-n", "2"}).out == "two\nthree\n");
    CHECK(call({"daemon", "logs"}).out == "one\ntwo\nthree\n");
    CHECK(call({"daemon", "logs", "-n", "x"}).exit_code == 2);
}

TEST_CASE("wrong use exits 2 with one sentence and the help to read, before any daemon is asked") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {});
    const auto refusal = [](const std::vector<std::string>& words) {
        const Outcome refused = call(words);
        CHECK(refused.exit_code == 2);
        CHECK(refused.out == "");
        return refused.err;
    };
    CHECK(refusal({"lokup"}) ==
          "jamsock: There is no command 'lokup'. Did you mean 'lookup'?\nTry: jamsock --help\n");
    CHECK(refusal({"\x1b[2J"}) ==
          "jamsock: There is no command '\\x1b[2J'.\nTry: jamsock --help\n");
    CHECK(refusal({"daemon", "sotp"}) ==
          "jamsock: 'daemon' has no command 'sotp'. Did you mean 'stop'?\n"
          "Try: jamsock daemon --help\n");
    CHECK(refusal({"list", "--jsn=1"}) ==
          "jamsock: 'list' has no option '--jsn'. Did you mean '--json'?\nTry: jamsock list "
          "--help\n");
    CHECK(refusal({"env", "a", "more"}) ==
          "jamsock: 'env' has no use for the word 'more'.\nTry: jamsock env --help\n");
    CHECK(refusal({"connect", "--key"}) ==
          "jamsock: The option --key needs a value.\nTry: jamsock connect --help\n");
    CHECK(refusal({"connect", "-k", "a", "-k", "b"}) ==
          "jamsock: The option --key is given twice.\nTry: jamsock connect --help\n");
    CHECK(refusal({"connect", "--key=", "editor"}).starts_with("jamsock: The key is empty;"));
    CHECK(refusal({"connect", "--key", ""}).starts_with("jamsock: The key is empty;"));
    CHECK(
        refusal({"connect", "--key", "a\xff"}).starts_with("jamsock: The key is not valid UTF-8"));
    CHECK(refusal({"connect", "-e", "HOST=x"}).find("HOST") != std::string::npos);
    CHECK(refusal({"connect", "-e", "A"}).find("NAME=VALUE") != std::string::npos);
    CHECK(refusal({"connect", "--timeout", "0"}).find("--timeout") != std::string::npos);
    CHECK(refusal({"connect", "bad service"}).starts_with("jamsock: "));
    CHECK(refusal({"connect", "--"}).find("a command") != std::string::npos);
    CHECK(refusal({"connect", "--no-spawn", "-k", "a", "-e", "A=1"}).find("--no-spawn") !=
          std::string::npos);
    CHECK(refusal({"lookup"}).find("--key KEY") != std::string::npos);
    CHECK(refusal({"status"}).find("--key KEY") != std::string::npos);
    CHECK(refusal({"status", "aaaaa", "bbbbb"}).find("one backend") != std::string::npos);
    CHECK(refusal({"status", "--key", "a", "--key", "b"}).find("one backend") != std::string::npos);
    CHECK(refusal({"status", "A_b"}).starts_with("jamsock: "));
    CHECK(refusal({"terminate", "aaaaa", "--hard", "--grace", "1"}).find("--grace") !=
          std::string::npos);
    CHECK(refusal({"terminate", "a", "b", "--key", "k"}).starts_with("jamsock: "));
    CHECK(daemon.requests().empty());
}

TEST_CASE(
    "a key may be any text, also one that looks like an option, a list or nothing but a space") {
    const StateDirectory state;
    const std::vector<std::string> keys{"--json", "-k",  "[a,b]", "{}",   "%%",
                                        " ",      "a=b", "\"q\"", "文書", "line\nbreak"};
    const FakeDaemon daemon(
        state, std::vector<std::string>(keys.size() * 2, answer(200, connected("knrv5"))));
    std::size_t number = 0;
    for (const std::string& key : keys) {
        CAPTURE(key);
        for (const auto& words : {std::vector<std::string>{"connect", "--key", key},
                                  std::vector<std::string>{"connect", "--key=" + key}}) {
            CHECK(call(words).exit_code == 0);
            const std::string request = daemon.requests().at(number++);
            const auto sent =
                ConnectRequest::from_json(request.substr(request.find("\r\n\r\n") + 4));
            REQUIRE(sent->key);
            CHECK(sent->key->str() == key);
        }
    }
}

TEST_CASE("help is an answer: on stdout, for every command, with examples") {
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"--help"},
                                                  {"-h"},
                                                  {"help"},
                                                  {"daemon"},
                                                  {"daemon", "--help"}}) {
        const Outcome help = call(words);
        CHECK(help.exit_code == 0);
        CHECK(help.out.find("Commands:\n") != std::string::npos);
        CHECK(help.err == "");
    }
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"connect", "--help"}, {"help", "connect"}, {"connect", "-h"}}) {
        const Outcome help = call(words);
        CHECK(help.exit_code == 0);
        CHECK(
            help.out.find("Usage:\n  jamsock connect [SERVICE] [OPTIONS] [-- COMMAND ARGS...]\n") !=
            std::string::npos);
        CHECK(help.out.find("Examples:\n  jamsock connect --key document-123\n") !=
              std::string::npos);
    }
    CHECK(call({"help", "daemon", "stop"}).out.find("jamsock daemon stop\n") != std::string::npos);
    CHECK(call({"--version"}).out.starts_with("jamsock "));
}

TEST_CASE("service create sends the program's absolute path, its directory and the caller's PATH") {
    const StateDirectory state;
    const ScopedVariable path("PATH", "/usr/bin:/bin");
    const FakeDaemon daemon(state, {answer(200, ok_json())});
    const Outcome done = call({"service", "create", "editor/staging", "--cwd", "/usr", "-e", "A=1",
                               "--max-idle", "0", "--", "sh", "-c", "true"});
    CHECK(done.exit_code == 0);
    CHECK(done.out.empty());
    CHECK(done.err.empty());
    const std::string request = daemon.requests().at(0);
    CHECK(request.starts_with("POST /v2/account/local/service "));
    const auto sent = ServiceCreateRequest::from_json(request.substr(request.find("\r\n\r\n") + 4));
    REQUIRE(sent);
    CHECK(sent->name.str() == "editor/staging");
    CHECK(sent->definition.command == Command{{"/usr/bin/sh", "-c", "true"}, "/usr"});
    CHECK(sent->definition.base_environment.at("PATH") == "/usr/bin:/bin");
    CHECK(sent->definition.env == EnvironmentMap{{"A", "1"}});
    CHECK(sent->definition.limits == Limits{.max_idle = 0});
}

TEST_CASE("service update sends what is named alone, and null for what is taken back") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, ok_json())});
    const Outcome done = call({"service", "update", "editor", "--unset", "A", "-e", "B=2",
                               "--grace", "default", "--startup", "5"});
    CHECK(done.exit_code == 0);
    CHECK(daemon.requests().at(0).starts_with(
        "POST /v2/service/local/editor/default/update HTTP/1.1\r\n"));
    CHECK(daemon.requests().at(0).ends_with(
        R"({"env":{"A":null,"B":"2"},"grace_seconds":null,"startup_limit_seconds":5})"));
}

TEST_CASE("what a service waits for before its backends are ready is sent as it is given") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, ok_json()), answer(200, ok_json())});
    CHECK(call({"service", "update", "editor", "--ready-log", "^up [0-9]+$", "--ready-path",
                "default", "--listen-fd", "--port-owner", "any"})
              .exit_code == 0);
    CHECK(daemon.requests().at(0).ends_with(
        R"({"ready_log":"^up [0-9]+$","ready_path":null,"listen_fd":true,"port_owner":"any"})"));
    CHECK(call({"service", "update", "editor", "--ready-exec", "test -e up", "--listen-fd=default",
                "--port-owner", "default"})
              .exit_code == 0);
    CHECK(daemon.requests().at(1).ends_with(
        R"({"ready_exec":"test -e up","listen_fd":null,"port_owner":null})"));
}

TEST_CASE("whose pages may open WebSockets is sent as it is given, or refused") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {answer(200, ok_json()), answer(200, ok_json())});
    CHECK(call({"service", "update", "editor", "--allow-origins", "strict"}).exit_code == 0);
    CHECK(daemon.requests().at(0).ends_with(R"({"allow_origins":"strict"})"));
    CHECK(call({"service", "update", "editor", "--allow-origins", "default"}).exit_code == 0);
    CHECK(daemon.requests().at(1).ends_with(R"({"allow_origins":null})"));
    const Outcome refused =
        call({"service", "create", "editor", "--allow-origins", "default", "--", "sh"});
    CHECK(refused.exit_code == 2);
    CHECK(
        refused.err.starts_with("jamsock: The option --allow-origins needs 'any', 'strict'; "
                                "'default' is none.\n"));
}

TEST_CASE("a sign of readiness that can't be one is refused before anything is asked") {
    const StateDirectory state;
    const auto refused = [](std::vector<std::string> options) {
        options.insert(options.begin(), {"service", "create", "editor"});
        options.insert(options.end(), {"--", "sh"});
        const Outcome outcome = call(options);
        CHECK(outcome.exit_code == 2);
        return outcome.err;
    };
    CHECK(refused({"--ready-log", "(up"})
              .starts_with("jamsock: The option --ready-log is not a regular expression: "
                           "'(up': missing ): '(up'."));
    CHECK(refused({"--ready-log", "(a{900}|b{900}|c{900}|d{900}|e{900})"})
              .find("The option --ready-log is too large a pattern: ") != std::string::npos);
    CHECK(refused({"--ready-path", "health"}).find("begins with '/'") != std::string::npos);
    CHECK(refused({"--ready-path", "/a b"}).find("byte 3") != std::string::npos);
    CHECK(refused({"--ready-exec", ""}).find("--ready-exec is empty") != std::string::npos);
    CHECK(refused({"--ready-log", "up", "--ready-path", "/"})
              .find("Give --ready-log or --ready-path, not both.") != std::string::npos);
    CHECK(refused({"--port-owner", "me"}).find("'tree', 'any'; 'me' is none") != std::string::npos);
    CHECK(refused({"--port-owner", "default"}).find("'default' is none") != std::string::npos);
    CHECK(refused({"--port-owner", ""}).find("'' is none") != std::string::npos);
    CHECK(refused({"--listen-fd=3"}).find("'3' is none") != std::string::npos);
}

TEST_CASE("service list asks for each service; one that is gone meanwhile is left out") {
    const StateDirectory state;
    const ServiceInfo editor{.account = "local",
                             .name = "editor",
                             .environments = {{.name = "default", .definition = {}}}};
    const FakeDaemon daemon(
        state,
        {answer(200, ServiceList{{"editor", "gone"}}.to_json()), answer(200, editor.to_json()),
         failed(ErrorCode::service_not_found, "There is no service 'gone'.")});
    const Outcome listed = call({"service", "list"});
    CHECK(listed.exit_code == 0);
    CHECK(listed.out == "editor\t-\t-\t-\t-\n");
}

TEST_CASE("a service's key in a hint goes with its service") {
    const StateDirectory state;
    const FakeDaemon daemon(state, {failed(ErrorCode::key_unheld_no_spawn_config, "Nobody.")});
    const Outcome unheld = call({"lookup", "editor", "--key", "doc"});
    CHECK(unheld.exit_code == 3);
    CHECK(unheld.err.find("Try: jamsock connect editor --key doc\n") != std::string::npos);
}

TEST_CASE("a command behind '--' where none is run is refused, and is no service's name") {
    const StateDirectory state;
    const Outcome refused = call({"lookup", "--key", "k", "--", "ls"});
    CHECK(refused.exit_code == 2);
    CHECK(refused.err ==
          "jamsock: 'lookup' runs no command, so '--' can't stand there.\n"
          "Try: jamsock lookup --help\n");
}

TEST_CASE("logs prints what the backend wrote, all or the last lines, and needs no daemon") {
    const StateDirectory state;
    std::filesystem::create_directories(state.path() + "/history/knrv5");
    state.write("history/knrv5/output.log.1", "one\ntwo\n");
    state.write("history/knrv5/output.log", "three\nred \x1b[31m, no newline");
    CHECK(call({"logs", "knrv5"}).out == "one\ntwo\nthree\nred \x1b[31m, no newline");
    CHECK(call({"logs", "-n", "3", "knrv5"}).out == "two\nthree\nred \x1b[31m, no newline");
    CHECK(call({"logs", "-n", "0", "knrv5"}).out.empty());
    CHECK(call({"logs", "--since", "1h", "-n", "1", "knrv5"}).out == "red \x1b[31m, no newline");
    CHECK(call({"logs", "--since", "2999-01-01", "knrv5"}).out.empty());
    const Outcome followed = call({"logs", "-f", "-n", "2", "knrv5"});
    CHECK(followed.exit_code == 0);
    CHECK(followed.out == "three\nred \x1b[31m, no newline");
}

TEST_CASE("on a terminal logs escapes what could move the cursor, in lines") {
    const StateDirectory state;
    std::filesystem::create_directories(state.path() + "/backends/knrv5");
    state.write("backends/knrv5/output.log", "red \x1b[31m\nno newline");
    CHECK(call_with(true, {"logs", "knrv5"}).out == "red \\x1b[31m\nno newline\n");
}

TEST_CASE("logs finds the backend of a key through the daemon") {
    const StateDirectory state;
    std::filesystem::create_directories(state.path() + "/backends/knrv5");
    state.write("backends/knrv5/output.log", "hello\n");
    const FakeDaemon daemon(
        state, {list_of({held("doc", "editor", "knrv5")}), list_of({held("x", "default", "y")})});
    CHECK(call({"logs", "--key", "doc", "editor"}).out == "hello\n");
    const Outcome unheld = call({"logs", "--key", "doc"});
    CHECK(unheld.exit_code == 3);
    CHECK(unheld.err ==
          "jamsock: No backend holds the key 'doc'.\nTry: jamsock connect --key doc\n");
}

TEST_CASE("logs refuses what it can't mean") {
    const StateDirectory state;
    const Outcome unknown = call({"logs", "nobody"});
    CHECK(unknown.exit_code == 4);
    CHECK(unknown.err == "jamsock: There is no backend 'nobody'.\nTry: jamsock list\n");
    CHECK(call({"logs"}).exit_code == 2);
    CHECK(call({"logs", "a", "b"}).err ==
          "jamsock: The output is printed of one backend at a time.\nTry: jamsock logs --help\n");
    CHECK(call({"logs", "knrv5", "-n", "many"}).exit_code == 2);
    const Outcome soon = call({"logs", "knrv5", "--since", "soon"});
    CHECK(soon.exit_code == 2);
    CHECK(soon.err ==
          "jamsock: The option --since needs a time such as 10s, 5m, 2h, 1d, 09:30 or "
          "2026-11-23T09:30:00; 'soon' is none.\nTry: jamsock logs --help\n");
    std::filesystem::remove_all(state.path());
    CHECK(call({"logs", "nobody"}).exit_code == 4);
}
