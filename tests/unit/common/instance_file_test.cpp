#include "common/instance_file.h"

#include <doctest/doctest.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;

TEST_CASE("what a state directory is comes back as it was written") {
    const test::TemporaryDirectory home;
    CHECK(read_instance(home.fd()).directory.empty());
    REQUIRE(write_instance(home.fd(), {"801-2a", "/a path\nwith a line", ""}));
    REQUIRE(write_instance(home.fd(), {"801-2b", "/b", "/a path\nwith a line"}));
    const Instance instance = read_instance(home.fd());
    CHECK(instance.directory == "801-2b");
    CHECK(instance.path == "/b");
    CHECK(instance.copy_of == "/a path\nwith a line");
}

TEST_CASE("a file of another form says nothing that could be a directory") {
    const test::TemporaryDirectory home;
    std::ofstream(home.path("instance")) << "";
    CHECK(read_instance(home.fd()).path.empty());
}
