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

constexpr const char* login_path = "/usr/local/bin:/usr/bin:/bin";

Result<std::string> absolute_directory(const std::string& directory) {
    std::error_code failed;
    fs::path path = fs::current_path(failed);
    if (failed) {
        return fail(ErrorCode::spawn_failed,
                    fmt::format("The working directory can't be told: {}.", failed.message()));
    }
    if (directory.empty()) return path.string();
    path = (path / directory).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    if (fs::is_directory(path, failed)) return path.string();
    return fail(ErrorCode::invalid_request,
                fmt::format("There is no directory {}.", in_quotes(path.string())));
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
    auto program = find_program(words[0], *cwd, environment_variable("PATH").value_or(login_path));
    if (!program) return pass_on(program);
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
