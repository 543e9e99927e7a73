#include "daemon/backends/program_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> refuse(std::string_view what, const std::string& path, const char* why,
                             std::string hint = {}) {
    return tl::unexpected(for_others({ErrorCode::invalid_request,
                                      fmt::format("The {} {} {}.", what, in_quotes(path), why),
                                      std::move(hint),
                                      {}},
                                     fmt::format("The {} {}.", what, why)));
}

}  // namespace

Result<> check_program(const Command& command) {
    const std::string& program = command.argv.front();
    std::error_code unreadable;
    if (!program.starts_with('/')) return refuse("program", program, "is no absolute path");
    if (!command.cwd.starts_with('/'))
        return refuse("directory", command.cwd, "is no absolute path");
    if (!fs::exists(program, unreadable)) return refuse("program", program, "doesn't exist");
    if (!fs::is_regular_file(program, unreadable)) return refuse("program", program, "is no file");
    if (::access(program.c_str(), X_OK) != 0) {
        return refuse("program", program, "is not executable",
                      shell_line({"chmod", "+x", program}));
    }
    if (!fs::is_directory(command.cwd, unreadable))
        return refuse("directory", command.cwd, "doesn't exist");
    return {};
}

Task<Result<>> check_program(const Command& command, ExpendableThreads& threads) {
    const auto check = [command] { return check_program(command); };
    const Deadline limit = after(timeouts::path_look);
    auto checked = co_await threads.run(check, limit);
    if (checked) co_return *std::move(checked);
    co_return fail(ErrorCode::timed_out,
                   fmt::format("The program {} in {} can't be looked at: the file system doesn't "
                               "answer.",
                               in_quotes(command.argv.front()), in_quotes(command.cwd)),
                   shell_line({"ls", "-l", command.argv.front()}));
}

}  // namespace jamsock
