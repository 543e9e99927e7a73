#include "cli/given_program.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/option_values.h"
#include "cli/program_path.h"
#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

// Without symbolic links: `link/..` is where the kernel says it is.
Result<std::string> absolute_directory(const std::string& directory) {
    std::error_code failed;
    const fs::path path = fs::canonical(directory, failed);
    if (!failed && fs::is_directory(path, failed)) return path.string();
    return fail(ErrorCode::invalid_request,
                fmt::format("The directory {} can't be used: {}.", in_quotes(directory),
                            failed ? failed.message() : "Not a directory"));
}

Result<EnvironmentMap> checked_base_environment() {
    EnvironmentMap variables = base_environment();
    for (const auto& [name, value] : variables) {
        auto valid = require_utf8(fmt::format("The environment variable {}", name), value);
        if (!valid) return pass_on(valid);
    }
    return variables;
}

}  // namespace

Result<GivenProgram> given_program(std::vector<std::string> words, const std::string& directory) {
    if (words.empty()) {
        return fail(ErrorCode::invalid_request, "After '--' must come a command to run.");
    }
    auto cwd = absolute_directory(directory);
    if (!cwd) return pass_on(cwd);
    auto program = find_program(words[0], *cwd, program_search_path());
    if (!program) {
        program.error().code = ErrorCode::spawn_failed;
        return pass_on(program);
    }
    words[0] = std::move(*program);
    for (const std::string& word : words) {
        if (auto valid = require_utf8("The command", word); !valid) return pass_on(valid);
    }
    if (auto valid = require_utf8("The working directory", *cwd); !valid) return pass_on(valid);
    auto environment = checked_base_environment();
    if (!environment) return pass_on(environment);
    return GivenProgram{Command{std::move(words), std::move(*cwd)}, std::move(*environment)};
}

}  // namespace jamsock
