#include "daemon/configuration.h"

#include <doctest/doctest.h>

#include "tests/support/temporary_directory.h"

using namespace jamsock;

namespace {

constexpr const char* path = "/home/ann/config.toml";

std::string refusal_of(std::string_view text) {
    const auto refused = Configuration::parse(text, path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().hint == "cat -n /home/ann/config.toml");
    return refused.error().message;
}

}  // namespace

TEST_CASE("without a file, and without a setting in it, all have their defaults") {
    const test::TemporaryDirectory directory;
    CHECK(Configuration::read(directory.path("none/config.toml"))->history.count() == 30);
    std::ofstream(directory.path("config.toml")) << "# nothing set\n";
    CHECK(Configuration::read(directory.path("config.toml"))->history.count() == 30);
}

TEST_CASE("a file's settings are read") {
    const test::TemporaryDirectory directory;
    std::ofstream(directory.path("config.toml")) << "history_days = 1\n";
    CHECK(Configuration::read(directory.path("config.toml"))->history.count() == 1);
    CHECK(Configuration::parse("history_days = 36_500", path)->history.count() == 36500);
}

TEST_CASE("a setting that there is not is refused, with its line and the nearest one") {
    CHECK(refusal_of("\n\nhistory_day = 3") ==
          "There is no setting 'history_day' as in line 3 of '/home/ann/config.toml'. "
          "Did you mean 'history_days'?");
    CHECK(refusal_of("history_days = 3\n[proxy]\nport = 9090") ==
          "There is no setting 'proxy' as in line 2 of '/home/ann/config.toml'.");
}

TEST_CASE("a value that a setting can't have is refused, with its line") {
    for (const char* value : {"0", "-1", "36501", "'30'", "1.5", "true", "[30]", "{a = 1}"}) {
        CAPTURE(value);
        CHECK(refusal_of(std::string("# how long\nhistory_days = ") + value) ==
              "The setting 'history_days' in line 2 of '/home/ann/config.toml' must be a whole "
              "number of days, 1 to 36500.");
    }
}

TEST_CASE("what is no TOML is refused, with its place") {
    CHECK(refusal_of("# first\nhistory_days 30\n") ==
          "The configuration '/home/ann/config.toml' is no valid TOML at line 2, column 14.");
    for (const char* text : {"history_days = 1\nhistory_days = 2", "history_days = ", "\xff", "="})
        CHECK(refusal_of(text).find("is no valid TOML at line") != std::string::npos);
}

TEST_CASE("a file that can't be read is refused") {
    const test::TemporaryDirectory directory;
    const auto refused = Configuration::read(directory.path());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("can't be read: Is a directory.") != std::string::npos);
    std::ofstream(directory.path("large")) << std::string(2 * 1024 * 1024, '\n');
    CHECK_FALSE(Configuration::read(directory.path("large")));
}
