#include "daemon/backends/held_up.h"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace jamsock;

TEST_CASE("a busy lock names its backend and the processes that hold it, with the way out") {
    const Error unknown = explain_busy_lock("knrv5", false, {{12, "jamsock-shim"}});
    CHECK(unknown.code == ErrorCode::spawn_failed);
    CHECK(unknown.message ==
          "The key's lock is held by the backend 'knrv5', of which this daemon knows nothing: by "
          "process 12 (jamsock-shim).");
    CHECK(unknown.hint == "kill 12");

    const Error given = explain_busy_lock("knrv5", true, {{12, "cat"}, {13, "s\x1bh"}});
    CHECK(given.message ==
          "The backend 'knrv5' has ended, but its descriptor of the key's lock was given to "
          "processes 12 (cat), 13 (s\\x1bh).");
    CHECK(given.hint == "kill 12 13");
    CHECK(told_to_others(given).message ==
          "The key's lock is held by a process of no backend that this daemon runs.");
    CHECK(told_to_others(given).hint.empty());

    const Error unseen = explain_busy_lock("", false, {});
    CHECK(unseen.message ==
          "The key's lock is held by an unknown backend, of which this daemon knows nothing.");
    CHECK(unseen.hint == "jamsock daemon logs");
    CHECK(explain_busy_lock("a", true, {}).message.find("can't be found") != std::string::npos);
}

TEST_CASE("what holds an end up is told with its process") {
    CHECK(note_on_stopped_shim(7).find("kill -CONT 7") != std::string::npos);
    CHECK(note_on_left_processes({{7, "cat"}}) ==
          "process 7 (cat) can't be killed yet and keeps the key");
    CHECK(note_on_left_processes({{7, "cat"}, {8, "dog"}}) ==
          "processes 7 (cat), 8 (dog) can't be killed yet and keep the key");
    const std::vector<NamedProcess> many(11, {7, "cat"});
    CHECK(note_on_left_processes(many).find("7 (cat), …") != std::string::npos);
}

TEST_CASE("a process is named as the kernel has it, one that is gone by its number") {
    CHECK(NamedProcess::of(::getpid()).command == "unit_tests");
    CHECK(NamedProcess::of(0) == NamedProcess{0, ""});
}
