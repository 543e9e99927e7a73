#include "cli/program_path.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using jamsock::cli_test::StateDirectory;

namespace {

std::string make_program(const StateDirectory& directory, const std::string& name, mode_t mode) {
    const std::string path = directory.write(name, "#!/bin/sh\n");
    ::chmod(path.c_str(), mode);
    return path;
}

}  // namespace

TEST_CASE("a program without a slash is searched in PATH, past what is not executable") {
    const StateDirectory first, second;
    make_program(first, "server", 0644);
    const std::string right = make_program(second, "server", 0755);
    CHECK(*find_program("server", "/", first.path() + ":" + second.path()) == right);
    CHECK(*find_program("server", second.path(), "/nowhere:") == right);
}

TEST_CASE("a program with a slash is taken from the directory, without './'") {
    const StateDirectory directory;
    const std::string path = make_program(directory, "server", 0755);
    CHECK(*find_program("./server", directory.path(), "") == path);
    CHECK(*find_program("././server", directory.path(), "") == path);
    CHECK(*find_program(path, "/", "") == path);
}

TEST_CASE("a program that is missing or not executable is refused with the reason") {
    const StateDirectory directory;
    const std::string data = make_program(directory, "data", 0644);
    make_program(directory, "here", 0755);
    const auto refusal = [&](const std::string& name) {
        const auto found = find_program(name, directory.path(), "/nowhere");
        REQUIRE_FALSE(found);
        const bool is_there = found.error().code == ErrorCode::program_not_runnable;
        CHECK((is_there || found.error().code == ErrorCode::program_not_found));
        CHECK(is_there == (found.error().message.find("executable") != std::string::npos));
        return found.error().message;
    };
    CHECK(refusal("nothing") == "There is no program 'nothing' in PATH.");
    CHECK(refusal("") == "There is no program '' in PATH.");
    CHECK(refusal("here") ==
          "There is no program 'here' in PATH; for the one here, write './here'.");
    CHECK(refusal("./nothing") == "There is no program '" + directory.path() + "/nothing'.");
    CHECK(refusal("./data") == "The file '" + data + "' is not executable.");
    CHECK(find_program("data", "/", directory.path()).error().message ==
          "The file '" + data + "' is not executable.");
    CHECK(refusal("../") == "There is no program '" + directory.path() + "/../'.");
}
