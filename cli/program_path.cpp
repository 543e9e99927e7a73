#include "cli/program_path.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string_view>

#include "common/environment.h"
#include "common/text.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

bool is_program(const fs::path& path) {
    return is_file(path) && ::access(path.c_str(), X_OK) == 0;
}

// "./" is dropped so that one program has one name; ".." stays, as it means another place after
// a symbolic link.
std::string absolute(std::string_view path, const std::string& directory) {
    if (path.starts_with('/')) return std::string(path);
    while (path.starts_with("./"))
        path.remove_prefix(2);
    return (fs::path(directory) / path).string();
}

Result<std::string> check_path(const std::string& path) {
    if (is_program(path)) return path;
    if (!is_file(path)) {
        return fail(ErrorCode::program_not_found,
                    fmt::format("There is no program {}.", in_quotes(path)));
    }
    return fail(ErrorCode::program_not_runnable,
                fmt::format("The file {} is not executable.", in_quotes(path)),
                shell_line({"chmod", "+x", path}));
}

}  // namespace

std::string program_search_path() {
    return environment_variable("PATH").value_or("/usr/local/bin:/usr/bin:/bin");
}

Result<std::string> find_program(const std::string& name, const std::string& directory,
                                 const std::string& search_path) {
    if (name.find('/') != std::string::npos) return check_path(absolute(name, directory));
    std::string_view rest = search_path;
    std::optional<fs::path> not_executable;
    while (!name.empty()) {
        const auto colon = rest.find(':');
        const fs::path path = absolute(rest.substr(0, colon), directory) / fs::path(name);
        if (is_program(path)) return path.string();
        if (!not_executable && is_file(path)) not_executable = path;
        if (colon == std::string_view::npos) break;
        rest.remove_prefix(colon + 1);
    }
    if (not_executable) return check_path(not_executable->string());
    const std::string beside = absolute(name, directory);
    const bool meant_beside = !name.empty() && is_program(beside);
    return fail(ErrorCode::program_not_found,
                fmt::format("There is no program {} in PATH{}.", in_quotes(name),
                            meant_beside ? fmt::format("; for the one here, write {}",
                                                       in_quotes("./" + name))
                                         : ""));
}

}  // namespace jamsock
