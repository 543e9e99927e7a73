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
    const Configuration unset = Configuration::read(directory.path("none/config.toml")).value();
    CHECK(unset.history.count() == 30);
    CHECK(unset.proxy.max_connections == 20'000);
    CHECK(unset.proxy.max_held_requests == 1'000);
    std::ofstream(directory.path("config.toml")) << "# nothing set\n";
    CHECK(Configuration::read(directory.path("config.toml"))->history.count() == 30);
}

TEST_CASE("a file's settings are read") {
    const test::TemporaryDirectory directory;
    std::ofstream(directory.path("config.toml")) << "history_days = 1\n";
    CHECK(Configuration::read(directory.path("config.toml"))->history.count() == 1);
    CHECK(Configuration::parse("history_days = 36_500", path)->history.count() == 36500);
}

TEST_CASE("the proxy's limits are read from their section") {
    const auto both = Configuration::parse(
        "history_days = 1\n[proxy]\nmax_connections = 1\nmax_held_requests = 1_000_000\n", path);
    REQUIRE(both);
    CHECK(both->history.count() == 1);
    CHECK(both->proxy.max_connections == 1);
    CHECK(both->proxy.max_held_requests == 1'000'000);
    CHECK(Configuration::parse("proxy.max_connections = 7", path)->proxy.max_connections == 7);
    CHECK(
        Configuration::parse("proxy = { max_held_requests = 8 }", path)->proxy.max_held_requests ==
        8);
    CHECK(Configuration::parse("[proxy]", path)->proxy.max_connections == 20'000);
}

TEST_CASE("dev mode is off unless the file says it is on") {
    CHECK_FALSE(Configuration::parse("", "config.toml")->dev);
    CHECK(Configuration::parse("dev = true", "config.toml")->dev);
    CHECK_FALSE(Configuration::parse("dev = false", "config.toml")->dev);
    for (const char* wrong : {"dev = 1", "dev = 'true'", "dev = []"}) {
        CAPTURE(wrong);
        CHECK(Configuration::parse(wrong, "config.toml")
                  .error()
                  .message.find("'dev' in line 1 of 'config.toml' must be true or false.") !=
              std::string::npos);
    }
}

TEST_CASE("the names of this machine are a list") {
    CHECK(Configuration::parse("", path)->hosts.empty());
    CHECK(Configuration::parse("hosts = []", path)->hosts.empty());
    CHECK(Configuration::parse("hosts = [\"devbox\", 'notes.example.org']", path)->hosts ==
          std::vector<std::string>{"devbox", "notes.example.org"});
}

TEST_CASE("what is no list of host names is refused, with the line of what is wrong in it") {
    const std::string must_be =
        " of '/home/ann/config.toml' must be a list of host names without ports, as [\"devbox\"].";
    for (const char* value : {"'devbox'", "true", "7", "{}", "['a', 7]", "['']", "[['a']]",
                              "['devbox:8080']", "['http://devbox']", "['*']", "['a b']"}) {
        CAPTURE(value);
        CHECK(refusal_of(std::string("# ours\nhosts = ") + value) ==
              "The setting 'hosts' in line 2" + must_be);
    }
    CHECK(refusal_of("hosts = [\n  'devbox',\n  'a_b',\n]") ==
          "The setting 'hosts' in line 3" + must_be);
    CHECK(refusal_of("[proxy]\nhosts = ['devbox']").starts_with("There is no setting "));
}

TEST_CASE("a setting that there is not is refused, with its line and the nearest one") {
    CHECK(refusal_of("\n\nhistory_day = 3") ==
          "There is no setting 'history_day' as in line 3 of '/home/ann/config.toml'. "
          "Did you mean 'history_days'?");
    CHECK(refusal_of("history_days = 3\n[proxy]\nport = 9090") ==
          "There is no setting 'proxy.port' as in line 3 of '/home/ann/config.toml'.");
    CHECK(refusal_of("[proxy]\nmax_conections = 3") ==
          "There is no setting 'proxy.max_conections' as in line 2 of '/home/ann/config.toml'. "
          "Did you mean 'proxy.max_connections'?");
    for (const char* misplaced :
         {"max_connections = 3", "[proxy]\nhistory_days = 3", "'proxy.max_connections' = 3",
          "[proxies]\nmax_connections = 3", "[proxy.proxy]\nmax_connections = 3", "'' = 3"}) {
        CAPTURE(misplaced);
        CHECK(refusal_of(misplaced).starts_with("There is no setting '"));
    }
}

TEST_CASE("a value that a setting can't have is refused, with its line") {
    for (const char* value : {"0", "-1", "36501", "'30'", "1.5", "true", "[30]", "{a = 1}"}) {
        CAPTURE(value);
        CHECK(refusal_of(std::string("# how long\nhistory_days = ") + value) ==
              "The setting 'history_days' in line 2 of '/home/ann/config.toml' must be a whole "
              "number of days, 1 to 36500.");
    }
}

TEST_CASE("a limit of the proxy that can't be one is refused, as is what is no section") {
    for (const char* value : {"0", "-1", "1_000_001", "'7'", "1.5", "{}"}) {
        CAPTURE(value);
        CHECK(refusal_of(std::string("[proxy]\nmax_connections = ") + value) ==
              "The setting 'proxy.max_connections' in line 2 of '/home/ann/config.toml' must be a "
              "whole number of connections, 1 to 1000000.");
        CHECK(refusal_of(std::string("[proxy]\n\nmax_held_requests = ") + value) ==
              "The setting 'proxy.max_held_requests' in line 3 of '/home/ann/config.toml' must be "
              "a whole number of requests, 1 to 1000000.");
    }
    for (const char* text : {"proxy = 3", "[[proxy]]\nmax_connections = 3", "proxy = []"}) {
        CAPTURE(text);
        CHECK(refusal_of(text) ==
              "The setting 'proxy' in line 1 of '/home/ann/config.toml' must be a section: "
              "[proxy].");
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
