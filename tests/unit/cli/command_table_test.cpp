#include "cli/command_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace jamsock;

TEST_CASE("every command has a name of its own, a sentence, and an example that calls it") {
    std::set<std::string_view> names;
    for (const Verb& verb : command_table()) {
        CAPTURE(verb.name);
        CHECK(names.insert(verb.name).second);
        if (!verb.alias.empty()) CHECK(names.insert(verb.alias).second);
        CHECK(verb.summary.ends_with('.'));
        CHECK(verb.examples.find("jamsock " + std::string(verb.name)) != std::string_view::npos);
        CHECK(verb.examples.ends_with('\n'));
        CHECK(verb.usage.ends_with('\n'));
        CHECK(find_verb(verb.name) == &verb);
    }
}

TEST_CASE("a command is found by its alias, and the empty name finds none") {
    REQUIRE(find_verb("ls"));
    CHECK(find_verb("ls")->name == "list");
    CHECK(find_verb("") == nullptr);
    CHECK(find_verb("daemon") == nullptr);
}

TEST_CASE("only what connects, what is of services, daemon start and restart may start a daemon") {
    std::vector<std::string_view> starters;
    for (const Verb& verb : command_table()) {
        if (verb.start == StartRule::always) starters.push_back(verb.name);
    }
    CHECK(starters ==
          std::vector<std::string_view>{"connect", "exec", "open", "env", "service create",
                                        "service list", "service info", "service update",
                                        "service delete", "daemon start", "daemon restart"});
}

TEST_CASE("the names after 'jamsock' and after 'jamsock daemon' are told apart") {
    CHECK(names_in("") == std::vector<std::string>{"connect",   "lookup",     "exec",    "open",
                                                   "list",      "ls",         "status",  "wait",
                                                   "logs",      "why",        "history", "events",
                                                   "terminate", "stop",       "kill",    "revoke",
                                                   "env",       "completion", "service", "daemon"});
    CHECK(names_in("daemon") ==
          std::vector<std::string>{"run", "start", "stop", "restart", "status", "logs"});
    CHECK(names_in("nothing").empty());
}
