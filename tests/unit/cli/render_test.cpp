#include "cli/render.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/version.h"
#include "tests/unit/cli/call.h"

using namespace jamsock;
using cli_test::id;

namespace {

constexpr std::int64_t now = 1'800'000'000'000;

KeyEntry entry(std::optional<Key> key, const char* backend) {
    return KeyEntry{.key = std::move(key),
                    .backend_id = id(backend),
                    .status = Status::ready,
                    .created_at = now - 3 * 60 * 1000,
                    .connections = 2,
                    .idle_seconds = 0};
}

BackendInfo backend() {
    return BackendInfo{.id = id("knrv5"),
                       .key = *Key::parse("doc 1"),
                       .created_at = now - 5000,
                       .statuses = {{.status = Status::ready, .time = now - 4000}},
                       .command = {{"/usr/bin/env", "a b"}, "/srv"},
                       .fencing_token = 1799999995000,
                       .port = 20001,
                       .pid = 4711,
                       .connections = 1,
                       .max_idle_seconds = 300};
}

}  // namespace

TEST_CASE("an error is a sentence and a command to run") {
    const Error error{ErrorCode::conflict, "It is \x1b[1mheld.", "jamsock list", {}};
    CHECK(render_error(error, false) == "jamsock: It is \\x1b[1mheld.\nTry: jamsock list\n");
    CHECK(render_error({ErrorCode::conflict, "No.", "", {}}, false) == "jamsock: No.\n");
    CHECK(render_error({ErrorCode::conflict, "No; ask: jamsock list", "jamsock list", {}}, false) ==
          "jamsock: No; ask: jamsock list\n");
}

TEST_CASE("an error in color differs only by the color") {
    const Error error{ErrorCode::conflict, "No.", "", {}};
    CHECK(render_error(error, true) == "\x1b[1;31mjamsock:\x1b[0m No.\n");
}

TEST_CASE("a failed start shows the backend's last lines, made harmless") {
    const Error error{ErrorCode::backend_ended_before_ready, "It ended.", "", {"one", "\x07two"}};
    CHECK(render_error(error, false) ==
          "jamsock: It ended.\nLast lines of its output:\n    one\n    \\x07two\n");
}

TEST_CASE("a duration is given in the largest unit that says enough") {
    CHECK(render_duration(0) == "0 s");
    CHECK(render_duration(119) == "119 s");
    CHECK(render_duration(120) == "2 min");
    CHECK(render_duration(2 * 3600 - 1) == "119 min");
    CHECK(render_duration(2 * 3600) == "2 h");
    CHECK(render_duration(48 * 3600) == "2 d");
}

TEST_CASE("the table of keys is aligned, also under characters that are wide or of several bytes") {
    const KeyList list{{entry(*Key::parse("文書"), "aaaaa"), entry(*Key::parse("é-1"), "bbbbb"),
                        entry(std::nullopt, "ccccc")}};
    CHECK(render_key_table(list, KeyColumns::usual, now, false) ==
          "KEY   SERVICE  BACKEND  STATUS  CONNECTIONS  IDLE  AGE\n"
          "文書  default  aaaaa    ready   2            0 s   3 min\n"
          "é-1   default  bbbbb    ready   2            0 s   3 min\n"
          "-     default  ccccc    ready   2            0 s   3 min\n");
}

TEST_CASE("rows for scripts: one line for each key whatever is in it, times in seconds") {
    const KeyList list{{entry(*Key::parse("a\tb\nc"), "aaaaa"), entry(std::nullopt, "ccccc")}};
    CHECK(render_key_rows(list, KeyColumns::usual, now) ==
          "a\\tb\\nc\tdefault\taaaaa\tready\t2\t0\t180\n"
          "-\tdefault\tccccc\tready\t2\t0\t180\n");
    CHECK(render_key_rows({}, KeyColumns::usual, now) == "");
}

TEST_CASE("wide, the list has the idle clock and the memory as well") {
    KeyEntry busy = entry(*Key::parse("a"), "aaaaa");
    busy.idle_seconds = 41;
    busy.max_idle_seconds = 3900;
    busy.memory_used = 13'107'200;
    const KeyList list{{busy, entry(std::nullopt, "ccccc")}};
    CHECK(render_key_table(list, KeyColumns::wide, now, false) ==
          "KEY  SERVICE  BACKEND  STATUS  CONNECTIONS  IDLE           AGE    MEMORY\n"
          "a    default  aaaaa    ready   2            00:41/1:05:00  3 min  12.5 MiB\n"
          "-    default  ccccc    ready   2            00:00/00:00    3 min  -\n");
    CHECK(render_key_rows(list, KeyColumns::wide, now) ==
          "a\tdefault\taaaaa\tready\t2\t41/3900\t180\t13107200\n"
          "-\tdefault\tccccc\tready\t2\t0/0\t180\t-\n");
}

TEST_CASE("in color only the status is, and the columns stay where they are") {
    const KeyList list{{entry(*Key::parse("ready"), "aaaaa")}};
    CHECK(render_key_table(list, KeyColumns::usual, now, true) ==
          "KEY    SERVICE  BACKEND  STATUS  CONNECTIONS  IDLE  AGE\n"
          "ready  default  aaaaa    \x1b[32mready   \x1b[0m2            0 s   3 min\n");
}

TEST_CASE("a text is cut where its columns end, and says so") {
    CHECK(fitted("abc", 3) == "abc");
    CHECK(fitted("abcd", 3) == "ab…");
    CHECK(fitted("文書文書", 5) == "文書…");
    CHECK(fitted("文書文書", 4) == "文…");
}

TEST_CASE("a daemon of another version is told, with the way out") {
    CHECK(render_other_version("0.0.9") ==
          fmt::format("jamsock: The daemon is of version 0.0.9, this command of {}.\n"
                      "Try: jamsock daemon restart\n",
                      version()));
    CHECK(render_other_version("99.0").ends_with("Try: type -a jamsock\n"));
}

TEST_CASE("the details of a connect say which backend, and whether it was started") {
    ConnectResponse response{.backend_id = id("knrv5"), .spawned = true, .status = Status::ready};
    CHECK(render_connect_details(response, *Key::parse("doc")) ==
          "  backend  knrv5\n  spawned  yes\n  status   ready\n  key      doc\n");
    response.spawned = false;
    CHECK(render_connect_details(response, std::nullopt) ==
          "  backend  knrv5\n  spawned  no, it was running\n  status   ready\n  key      -\n");
}

TEST_CASE("the status of a running backend shows its process") {
    CHECK(render_backend(backend(), now) ==
          "backend        knrv5\n"
          "key            doc 1\n"
          "service        default\n"
          "status         ready since 2027-01-15T07:59:56.000Z (4 s ago)\n"
          "created        2027-01-15T07:59:55.000Z\n"
          "pid            4711\n"
          "port           20001\n"
          "command        /usr/bin/env 'a b'\n"
          "directory      /srv\n"
          "fencing token  1799999995000\n"
          "connections    1\n"
          "idle           0 s of 5 min\n");
}

TEST_CASE("the status of an ended backend shows how it ended") {
    BackendInfo ended = backend();
    ended.pid.reset();
    ended.statuses.push_back({.status = Status::terminated,
                              .time = now,
                              .reason = TerminationReason::external,
                              .kind = TerminationKind::soft,
                              .exit = ProcessExit{std::nullopt, 15}});
    const std::string text = render_backend(ended, now);
    CHECK(text.find("end            was killed by signal 15 (TERM) (soft, external)\n") !=
          std::string::npos);
    CHECK(text.find("pid ") == std::string::npos);
    CHECK(text.find("connections") == std::string::npos);
    CHECK(render_end(ended) == "knrv5 terminated: was killed by signal 15 (TERM)\n");

    ended.statuses.back().exit.reset();
    CHECK(render_end(ended) == "knrv5 terminated: nobody saw how\n");
    CHECK(render_end(backend()) == "knrv5 terminated\n");
}

TEST_CASE("the status of a backend tells what was lost of its output") {
    CHECK(render_backend(backend(), now).find("lost") == std::string::npos);
    BackendInfo loser = backend();
    loser.dropped_log_bytes = 12345;
    CHECK(render_backend(loser, now).ends_with("output lost    12345 bytes\n"));
}

TEST_CASE("the daemon's details name both of its processes") {
    const DaemonDetails daemon{{"0.1.0", 20, now - 1000, 9090, 8080, 3}, 10, "/home/u/jamsock"};
    CHECK(render_daemon(daemon, now) ==
          "version          0.1.0\n"
          "pid              10 (keeper), 20 (worker)\n"
          "running for      1 s\n"
          "backends         3\n"
          "proxy port       9090\n"
          "API port         8080\n"
          "state directory  /home/u/jamsock\n");
    DaemonDetails copied = daemon;
    copied.copy_of = "/home/u/other";
    CHECK(render_daemon(copied, now).ends_with("\na copy of        /home/u/other\n"));
    DaemonDetails in_dev_mode = daemon;
    in_dev_mode.version.dev = true;
    CHECK(render_daemon(in_dev_mode, now)
              .find("\ndev mode         every user may start backends\n") != std::string::npos);
    CHECK(render_backends_go_on(1) == "1 backend goes on running");
    CHECK(render_backends_go_on(0) == "no backend was running");
}

TEST_CASE("services are a table for people, and rows for scripts") {
    ServiceInfo editor{
        .account = "local",
        .name = "editor",
        .environments = {{.name = "default",
                          .definition = {.command = Command{{"/bin/x", "a b"}, "/srv"}},
                          .last_spawned_at = now - 5000},
                         {.name = "staging", .definition = {}}}};
    const ServiceInfo bare{.account = "local",
                           .name = "bare",
                           .environments = {{.name = "default", .definition = {}}}};
    CHECK(render_service_table({editor, bare}, now) ==
          "SERVICE  LAST START  ENVIRONMENTS  DIRECTORY  COMMAND\n"
          "editor   5 s ago     staging       /srv       /bin/x 'a b'\n"
          "bare     -           -             -          -\n");
    CHECK(render_service_rows({editor, bare}, now) ==
          "editor\t5\tstaging\t/srv\t/bin/x 'a b'\n"
          "bare\t-\t-\t-\t-\n");
}

TEST_CASE("a service shows what each of its environments sets") {
    const ServiceInfo editor{
        .account = "local",
        .name = "editor",
        .environments = {
            {.name = "default",
             .definition =
                 {.command = Command{{"/bin/x"}, "/srv"},
                  .base_environment = {{"HOME", "/h"}, {"PATH", "/bin"}},
                  .env = {{"A", "\x1b"}},
                  .limits = {.max_idle = 60, .startup = 5},
                  .readiness = {.sign = ReadySign::parse(ReadySign::Kind::log, "up\t", "").value(),
                                .listen_fd = true,
                                .port_owner = PortRule::any},
                  .allow_origins = OriginRule::strict}},
            {.name = "staging", .definition = {}, .last_spawned_at = now - 1000}}};
    CHECK(render_service(editor, now) ==
          "service        editor\n"
          "command        /bin/x\n"
          "directory      /srv\n"
          "PATH           /bin\n"
          "variable       A=\\x1b\n"
          "idle limit     60 s\n"
          "startup limit  5 s\n"
          "ready log      up\\t\n"
          "listen fd      yes\n"
          "port owner     any\n"
          "allow origins  strict\n"
          "created        1970-01-01T00:00:00.000Z\n"
          "last start     never\n"
          "\n"
          "service     editor/staging\n"
          "created     1970-01-01T00:00:00.000Z\n"
          "last start  1 s ago\n");
}
