// What befalls a state directory under its daemon or between two: files that are damaged, removed,
// copied or put back. The promise holds, nobody else's backend ends, and the way out is named.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

std::string lock_file(const Home& home) {
    for (const auto& entry : fs::directory_iterator(home.path() + "/locks")) {
        if (entry.path().filename().string().size() == 64) return entry.path();
    }
    return {};
}

}  // namespace

TEST_CASE(
    "a lock file whose fencing token can't be one is refused, and the way out gives the key") {
    const Home home;
    const std::string key = home.own_key("k");
    home.output_of({"connect", "--key", key});
    home.output_of({"terminate", "--key", key});
    const std::string lock = lock_file(home);
    for (const char* number : {"9223372036854775807", "9007199254740992"}) {
        std::ofstream(lock) << number << " knrv5\n";
        check_refused(home.jamsock({"connect", "--key", key}), 5, {lock, "is damaged"},
                      "mv " + lock + " " + lock + ".damaged");
        CHECK(content_of(lock).starts_with(number));
        fs::rename(lock, lock + ".damaged");
        home.output_of({"connect", "--key", key});
        CHECK(home.keys().at(0).fencing_token < 9'007'199'254'740'991);
        home.output_of({"terminate", "--key", key});
    }
}
