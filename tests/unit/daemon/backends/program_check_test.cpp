#include "daemon/backends/program_check.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a program that can be run passes, and what is wrong with others is named") {
    const auto refusal = [](std::vector<std::string> argv, const char* cwd) {
        const auto checked = check_program({std::move(argv), cwd});
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == ErrorCode::invalid_request);
        const Error told = told_to_others(checked.error());
        CHECK(told.message.find('/') == std::string::npos);
        CHECK(told.message.ends_with(
            checked.error().message.substr(checked.error().message.rfind('\'') + 1)));
        CHECK(told.hint.empty());
        return checked.error().message;
    };
    CHECK(check_program({{"/bin/sh", "-c", "anything"}, "/tmp"}));
    CHECK(refusal({"/no/such/program"}, "/") == "The program '/no/such/program' doesn't exist.");
    CHECK(refusal({"/etc/passwd"}, "/") == "The program '/etc/passwd' is not executable.");
    CHECK(refusal({"/bin"}, "/") == "The program '/bin' is no file.");
    CHECK(refusal({"sh"}, "/") == "The program 'sh' is no absolute path.");
    CHECK(refusal({"/bin/sh"}, "tmp") == "The directory 'tmp' is no absolute path.");
    CHECK(refusal({"/bin/sh"}, "/no/such") == "The directory '/no/such' doesn't exist.");
}
