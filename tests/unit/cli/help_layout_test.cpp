#include "cli/help_layout.h"

#include <doctest/doctest.h>

#include <sstream>

#include "cli/command_table.h"
#include "cli/help_topics.h"
#include "cli/render.h"
#include "tests/unit/cli/call.h"

using namespace jamsock;
using namespace jamsock::cli_test;

namespace {

void check_fits(const std::vector<std::string>& words) {
    std::istringstream lines(call(words).out);
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK(display_width(line) <= help_columns);
    }
}

std::vector<std::string> help_for(std::string_view name) {
    std::vector<std::string> words{"help"};
    std::istringstream parts{std::string(name)};
    for (std::string part; parts >> part;)
        words.push_back(part);
    return words;
}

}  // namespace

TEST_CASE("all help fits a terminal of 80 columns") {
    const StateDirectory state;
    check_fits({"help"});
    for (const Verb& verb : command_table())
        check_fits(help_for(verb.name));
    for (const HelpTopic& topic : help_topics())
        check_fits(help_for(topic.name));
}

TEST_CASE("a text goes on under its own beginning") {
    const std::string long_word(70, 'x');
    CHECK(wrapped("a " + long_word + " b", 10, 4) == "a\n    " + long_word + " b\n");
    CHECK(wrapped("", 10, 4) == "\n");
}

TEST_CASE("paragraphs and entries are laid out anew, commands stay") {
    CHECK(reflowed("One\ntwo.\n\nThree:\n  A  first\n     and more\n  B  second\n"
                   "  jamsock list\nEnd.\n") ==
          "One two.\n\nThree:\n  A  first and more\n  B  second\n  jamsock list\nEnd.\n");
}
