#include "daemon/backends/start_failure.h"

#include <doctest/doctest.h>
#include <errno.h>

using namespace jamsock;

TEST_CASE("what the machine has run out of is a usage limit, anything else a failed spawn") {
    for (const int cause : {EMFILE, ENFILE, EAGAIN, ENOMEM}) {
        const Error error = start_failure("The shim can't be started", cause);
        CHECK(error.code == ErrorCode::usage_limit);
        CHECK(error.hint == "jamsock list");
    }
    const Error full = start_failure("The directory can't be made", ENOSPC);
    CHECK(full.code == ErrorCode::storage_full);
    CHECK(start_failure("The directory can't be made", EDQUOT).code == ErrorCode::storage_full);
    CHECK(full.message == "The directory can't be made: No space left on device.");
    CHECK(full.hint == "df -h");
    CHECK(start_failure("It can't be read", EACCES).hint == "jamsock daemon logs");
}

TEST_CASE("where a start failed is for this user alone") {
    const Error anywhere = told_to_others(start_failure("It can't be made", EACCES));
    CHECK(anywhere.message == "It can't be made: Permission denied.");
    CHECK(anywhere.hint == "jamsock daemon logs");
    const Error somewhere = start_failure("It can't be made", EMFILE, "'/srv/x'");
    CHECK(somewhere.message == "It can't be made: '/srv/x': Too many open files.");
    CHECK(told_to_others(somewhere).message == "It can't be made: Too many open files.");
    CHECK(told_to_others(somewhere).hint == "jamsock list");
}

TEST_CASE("a program that can't be run is named to this user alone") {
    const Command command{{"/srv/x/run"}, "/srv/y"};
    const Error program = exec_failure("exec", ENOENT, ServiceName::standard(), command);
    CHECK(program.code == ErrorCode::spawn_failed);
    CHECK(program.message == "'/srv/x/run' can't be run: No such file or directory.");
    CHECK(program.hint == "ls -l /srv/x/run");
    CHECK(told_to_others(program).message ==
          "The backend's program can't be run: No such file or directory.");
    CHECK(told_to_others(program).hint.empty());

    const ServiceName editor = ServiceName::parse("editor").value();
    const Error directory = exec_failure("chdir", EACCES, editor, command);
    CHECK(directory.message == "'/srv/y' can't be entered: Permission denied.");
    CHECK(directory.hint == "jamsock service update editor -- COMMAND");
    CHECK(told_to_others(directory).message ==
          "The backend's directory can't be entered: Permission denied.");

    CHECK(exec_failure("cgroup", EACCES, editor, command).message ==
          "The backend can't join its cgroup: Permission denied.");
}
