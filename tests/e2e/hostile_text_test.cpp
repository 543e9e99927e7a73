// A key may have any characters; what commands print of it plays no tricks on a terminal.
#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

#include "common/text.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

// ESC, DEL, C1, a line separator, and five that turn text about.
const std::string hostile =
    "a\x1b[2J\x7f\xc2\x9b"
    "2J\xe2\x80\xa8\xd8\x9c\xe2\x80\x8e\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9z";

// But for the tabs between columns.
bool is_harmless(std::string_view text) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        std::string columns(line);
        std::ranges::replace(columns, '\t', ' ');
        if (escaped(columns) != columns) return false;
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return true;
}

}  // namespace

TEST_CASE("no command prints a control character of a key, whatever its form") {
    const Home home;
    home.output_of({"service", "create", "editor", "--", test_backend()});
    home.output_of({"connect", "editor", "--key", hostile});
    const std::vector<std::vector<std::string>> commands{
        {"connect", "editor", "--key", hostile},
        {"connect", "editor", "--key", hostile, "--user", hostile},
        {"connect", "editor", "--key", hostile, "--tag", hostile},
        {"connect", "editor", "--key", hostile, "--", "/bin/" + hostile},
        {"connect", hostile, "--key", hostile},
        {"lookup", "editor", "--key", hostile},
        {"exec", "editor", "--key", hostile, "--", "/bin/true"},
        {"list"},
        {"status", hostile},
        {"status", "editor", "--key", hostile},
        {"why", "editor", "--key", hostile},
        {"history", "editor", "--key", hostile},
        {"logs", "editor", "--key", hostile},
        {"events"},
        {"wait", "editor", "--key", hostile},
        {"revoke", hostile},
        {"env", "editor"},
        {"env", hostile},
        {"service", "list"},
        {"service", "info", hostile},
        {"service", "info", "editor"},
        {"service", "update", "editor", "--env", "A=" + hostile},
        {"service", "info", "editor"},
        {"daemon", "status"},
        {"daemon", "logs"},
        {"stop", "editor", "--key", hostile},
        {"terminate", "editor", "--key", hostile},
        {"history", "editor", "--key", hostile},
        {"events"},
        {hostile},
    };
    for (const std::vector<std::string>& command : commands) {
        for (const char* const form : {"", "json", "name"}) {
            std::vector<std::string> arguments = command;
            const bool is_of_group = command[0] == "service" || command[0] == "daemon";
            const auto options = arguments.begin() + (is_of_group ? 2 : 1);
            if (*form) arguments.insert(options, {"-o", form});
            const RunResult result = home.jamsock(arguments);
            CAPTURE(escaped(result.out));
            CAPTURE(escaped(result.err));
            CAPTURE(command.front());
            CAPTURE(form);
            CHECK(is_harmless(result.out));
            CHECK(is_harmless(result.err));
        }
    }
    const Answer answer = home.get("/v2/account/local/events");
    CHECK(answer.body.find("\\u202e") != std::string::npos);
    CHECK(is_harmless(answer.body));
}
