// `jamsock exec` through the real programs: what its command gets, and whose exit code comes out.
#include <doctest/doctest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

using Words = std::vector<std::string>;

// With a backend that starts fast.
struct Desk : Home {
    Desk() { output_of({"service", "create", "desk", "--max-idle", "1", "--", test_backend()}); }

    Words words(const std::string& key, const Words& options, const Words& command) const {
        Words all{"exec", "desk", "--key=" + key};
        all.insert(all.end(), options.begin(), options.end());
        all.emplace_back("--");
        all.insert(all.end(), command.begin(), command.end());
        return all;
    }
    RunResult exec(const std::string& key, const Words& command, const Words& options = {}) const {
        return jamsock(words(key, options, command));
    }
    Child start_exec(const std::string& key, const Words& command,
                     const Words& options = {}) const {
        return start_jamsock(words(key, options, command));
    }

    std::string file(const char* name) const { return path() + "/" + name; }
    bool has(const char* name) const { return std::filesystem::exists(file(name)); }
    std::string read(const char* name) const {
        std::ostringstream text;
        text << std::ifstream(file(name)).rdbuf();
        return text.str();
    }
    BackendInfo holder() const { return backend(keys().at(0).backend_id); }
};

std::set<std::string> entries_in(const std::string& text) {
    std::set<std::string> entries;
    std::istringstream all(text);
    for (std::string entry; std::getline(all, entry, '\0');)
        entries.insert(entry);
    return entries;
}

std::string value_in(const std::set<std::string>& entries, const std::string& name) {
    for (const std::string& entry : entries) {
        if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return "";
}

std::string line_with(const std::string& text, const std::string& begin) {
    const auto at = text.find(begin);
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

// Writes `sign` when it is up; exits 40 + n at the signal n.
Words catches_signals(const Desk& desk) {
    return {"sh", "-c",
            "for n in 1 2 3 10 12 15; do trap \"exit $((40 + n))\" $n; done; : > \"$0\"; "
            "while :; do sleep 0.02; done",
            desk.file("up")};
}

}  // namespace

TEST_CASE("exec's command gets the caller's environment and the backend's, whatever the key is") {
    const Desk desk;
    for (const std::string key : {"plain", "two words", "it's \"quoted\" $HOME `x`", "a\nb", "-k",
                                  "😀 ✓", "*", "back\\slash"}) {
        CAPTURE(key);
        const RunResult done = desk.exec(key, {"env", "-0"});
        REQUIRE(done.exit_code == 0);
        CHECK(done.err == "");
        std::set<std::string> entries = entries_in(done.out);
        const std::string url = value_in(entries, "JAMSOCK_URL");
        const std::string id = value_in(entries, "JAMSOCK_BACKEND_ID");
        const std::string secret = value_in(entries, "JAMSOCK_SECRET_TOKEN");
        CHECK(value_in(entries, "JAMSOCK_KEY") == key);
        CHECK(fetch(url).status == 200);
        CHECK_FALSE(secret.empty());
        CHECK(desk.backend(BackendId::parse(id).value()).key->str() == key);

        std::set<std::string> expected{"JAMSOCK_URL=" + url, "JAMSOCK_BACKEND_ID=" + id,
                                       "JAMSOCK_SECRET_TOKEN=" + secret, "JAMSOCK_KEY=" + key};
        for (const auto& [name, value] : desk.options().environment)
            expected.insert(name + "=" + value);
        CHECK(entries == expected);
    }
}

TEST_CASE("exec's command has streams, descriptors and signals as its caller left them") {
    const Desk desk;
    const RunResult piped =
        run({"/bin/sh", "-c",
             "trap '' USR2; printf input | \"$0\" exec desk --key doc -- sh -c "
             "'cat; echo error >&2; ls /proc/self/fd | tr \"\\n\" \" \"; cat /proc/self/status; "
             "exit 3'",
             JAMSOCK_BUILD_DIR "/bin/jamsock"},
            desk.options());
    const RunResult plain =
        run({"/bin/sh", "-c", "trap '' USR2; cat /proc/self/status"}, desk.options());
    CHECK(piped.exit_code == 3);
    CHECK(piped.err == "error\n");
    CHECK(piped.out.starts_with("input0 1 2 3 Name:"));  // 3 is the directory that `ls` reads
    for (const char* mask : {"SigBlk:", "SigIgn:"}) {
        CHECK(line_with(plain.out, mask) != "");
        CHECK(line_with(piped.out, mask) == line_with(plain.out, mask));
    }
    const RunResult passed = run(
        {"/bin/sh", "-c",
         "echo passed > \"$1\"; exec 5< \"$1\"; exec \"$0\" exec desk --key doc -- sh -c 'cat <&5'",
         JAMSOCK_BUILD_DIR "/bin/jamsock", desk.file("passed")},
        desk.options());
    CHECK(passed.out == "passed\n");
}

TEST_CASE("exec exits with its command's code, 128 and a signal, or 125 to 127 of its own") {
    const Desk desk;
    desk.output_of({"service", "create", "bad", "--", test_backend(), "--exit", "3"});
    const std::string data = desk.file("data");
    std::ofstream(data) << "no program";
    CHECK(desk.exec("doc", {"true"}).exit_code == 0);
    CHECK(desk.exec("doc", {"sh", "-c", "exit 200"}).exit_code == 200);
    CHECK(desk.exec("doc", {"sh", "-c", "kill -9 $$"}).exit_code == 137);
    CHECK(desk.exec("doc", {data}).exit_code == 126);
    CHECK(desk.exec("doc", {"no-such-program"}).exit_code == 127);
    CHECK(desk.exec("doc", {"/no/such/program"}).exit_code == 127);

    const RunResult ended = desk.jamsock({"exec", "bad", "--key", "x", "--", "true"});
    CHECK(ended.exit_code == 125);
    CHECK(ended.err.find("exited with code 3 before it was ready") != std::string::npos);
    CHECK(desk.jamsock({"exec", "nothing", "--key", "x", "--", "true"}).exit_code == 125);
    CHECK(desk.jamsock({"exec", "desk", "--key", "", "--", "true"}).exit_code == 125);
    CHECK(desk.jamsock({"exec", "desk", "--key", "x"}).exit_code == 125);
    RunOptions homeless = desk.options();
    homeless.environment["JAMSOCK_HOME"] = "/proc/nowhere";
    CHECK(desk.jamsock({"exec", "--key", "x", "--", "true"}, homeless).exit_code == 125);
}

TEST_CASE("signals that somebody sends to exec reach its command") {
    const Desk desk;
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM}) {
        CAPTURE(signal);
        std::filesystem::remove(desk.file("up"));
        Child child = desk.start_exec("doc", catches_signals(desk));
        REQUIRE(eventually([&] { return desk.has("up"); }));
        ::kill(child.pid(), signal);
        CHECK(child.wait().exit_code == 40 + signal);
    }
}

TEST_CASE("a terminal's interrupt reaches exec's command once, and exec waits for it") {
    const Desk desk;
    Words words =
        desk.words("doc", {},
                   {"sh", "-c",
                    "trap 'printf i >> \"$0.count\"' INT; trap 'exit 5' TERM; : > \"$0\"; "
                    "while :; do sleep 0.02; done",
                    desk.file("up")});
    words.insert(words.begin(), JAMSOCK_BUILD_DIR "/bin/jamsock");
    Words variables;
    for (const auto& [name, value] : desk.options().environment)
        variables.push_back(name + "=" + value);
    const auto pointers = [](Words& texts) {
        std::vector<char*> list;
        for (std::string& text : texts)
            list.push_back(text.data());
        list.push_back(nullptr);
        return list;
    };
    const auto argv = pointers(words), envp = pointers(variables);
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid == 0) {
        ::execve(argv[0], argv.data(), envp.data());
        ::_exit(99);
    }
    const UniqueFd keyboard(terminal);
    REQUIRE(eventually([&] { return desk.has("up"); }));
    for (const std::string counted : {"i", "ii", "iii"}) {
        REQUIRE(::write(keyboard.get(), "\x03", 1) == 1);
        CHECK(eventually([&] { return desk.read("up.count").size() >= counted.size(); }));
        CHECK(desk.read("up.count") == counted);
    }
    ::kill(pid, SIGTERM);
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 5);
    CHECK(desk.read("up.count") == "iii");
}

TEST_CASE("exec --stop-after ends the backend, however the command ended, and keeps its code") {
    const Desk desk;
    const auto is_gone = [&](const std::string& id) {
        return desk.backend(BackendId::parse(id).value()).statuses.back().status ==
               Status::terminated;
    };
    const RunResult failed = desk.exec(
        "doc", {"sh", "-c", "printf %s \"$JAMSOCK_BACKEND_ID\"; exit 7"}, {"--stop-after"});
    CHECK(failed.exit_code == 7);
    CHECK(failed.err == "");
    CHECK(is_gone(failed.out));

    Child child =
        desk.start_exec("doc",
                        {"sh", "-c", "printf %s \"$JAMSOCK_BACKEND_ID\"; : > \"$0\"; exec sleep 60",
                         desk.file("up")},
                        {"--stop-after"});
    REQUIRE(eventually([&] { return desk.has("up"); }));
    ::kill(child.pid(), SIGTERM);
    const RunResult killed = child.wait();
    CHECK(killed.exit_code == 128 + SIGTERM);
    CHECK(is_gone(killed.out));

    const RunResult over = desk.exec(
        "doc",
        {"sh", "-c", "\"$0\" kill -q \"$JAMSOCK_BACKEND_ID\"", JAMSOCK_BUILD_DIR "/bin/jamsock"},
        {"--stop-after"});
    CHECK(over.exit_code == 0);
    CHECK(over.err == "");
    CHECK(desk.keys().empty());
}

TEST_CASE("a second signal ends the wait of exec --stop-after, not the ending") {
    const Desk desk;
    desk.output_of(
        {"service", "create", "deaf", "--grace", "600", "--", test_backend(), "--ignore-term"});
    Child child = desk.start_jamsock(
        {"exec", "deaf", "--key", "doc", "--stop-after", "--", "sh", "-c", "exit 7"});
    REQUIRE(eventually([&] {
        const auto keys = desk.keys();
        return !keys.empty() && keys.at(0).status == Status::terminating;
    }));
    ::kill(child.pid(), SIGINT);
    CHECK(child.wait().exit_code == 7);
    CHECK(desk.holder().statuses.back().status == Status::terminating);
}

TEST_CASE("exec goes on over kill -9 of the worker, and its backend isn't idle meanwhile") {
    const Desk desk;
    Child child = desk.start_exec(
        "doc", {"sh", "-c", ": > \"$0\"; until [ -e \"$1\" ]; do sleep 0.02; done; exit 4",
                desk.file("up"), desk.file("go")});
    REQUIRE(eventually([&] { return desk.has("up"); }));
    const BackendId id = desk.holder().id;
    for (const bool is_killed : {true, false}) {
        CAPTURE(is_killed);
        const pid_t worker = desk.worker();
        if (is_killed) {
            ::kill(worker, SIGKILL);
        } else {
            desk.output_of({"daemon", "restart"});
        }
        REQUIRE(eventually([&] { return desk.worker() != 0 && desk.worker() != worker; }));
        CHECK(eventually([&] { return desk.backend(id).connections == 1; }));
    }
    // One that isn't held is swept meanwhile.
    desk.output_of({"connect", "desk", "--key", "other"});
    REQUIRE(eventually([&] { return desk.keys().size() == 1; }));
    CHECK(desk.holder().id == id);
    CHECK(desk.holder().statuses.back().status == Status::ready);
    CHECK(is_running(child.pid()));

    std::ofstream(desk.file("go")) << "go";
    CHECK(child.wait().exit_code == 4);
    CHECK(eventually([&] { return desk.keys().empty(); }));
}

TEST_CASE("exec goes on without a daemon, and holds its backend when there is one again") {
    const Desk desk;
    Child child = desk.start_exec(
        "doc", {"sh", "-c", ": > \"$0\"; until [ -e \"$1\" ]; do sleep 0.02; done; exit 4",
                desk.file("up"), desk.file("go")});
    REQUIRE(eventually([&] { return desk.has("up"); }));
    desk.output_of({"daemon", "stop"});
    CHECK(desk.worker() == 0);
    desk.output_of({"daemon", "start"});
    CHECK(eventually([&] { return desk.holder().connections == 1; }));
    std::ofstream(desk.file("go")) << "go";
    CHECK(child.wait().exit_code == 4);
}
