#include <fcntl.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "cli/log_tail.h"
#include "cli/option_values.h"
#include "common/runtime_paths.h"
#include "common/text.h"

namespace jamsock {

namespace {

struct LogOptions {
    std::string lines = "50";
    bool follow = false;
};

UniqueFd open_log(int directory_fd) {
    return UniqueFd(::openat(directory_fd, state_file::log, O_RDONLY | O_CLOEXEC));
}

tl::unexpected<Error> no_log(const std::string& directory) {
    return fail(ErrorCode::daemon_unavailable,
                fmt::format("There is no log in {}: no daemon was started in the background yet.",
                            in_quotes(directory)),
                "jamsock daemon start");
}

// Until the reader of the output is gone or the user interrupts. A log that was rotated or cut is
// read from its beginning.
void follow(LineReader reader, int directory_fd, Terminal& terminal) {
    while (terminal.pause(follow_pause)) {
        terminal.out << reader.read_lines(/*end_of_file=*/false);
        UniqueFd now = open_log(directory_fd);
        if (!now || reader.is_at(now.get())) continue;
        terminal.out << reader.read_lines(/*end_of_file=*/true);  // what came before it was moved
        reader = LineReader(std::move(now), 0);
    }
}

Result<int> run_logs(const LogOptions& options, const Invocation& invocation) {
    auto lines = parse_count("--lines", options.lines);
    if (!lines) return pass_on(lines);
    auto path = state_directory_path();
    if (!path) return pass_on(path);
    auto directory = open_existing_state_directory(*path);
    if (!directory) return pass_on(directory);
    UniqueFd log(*directory ? open_log(directory->get()) : UniqueFd());
    if (!log) return no_log(*path);
    const std::size_t start = start_of_last_lines(log.get(), static_cast<std::size_t>(*lines));
    LineReader reader(std::move(log), start);
    invocation.terminal.out << reader.read_lines(/*end_of_file=*/!options.follow);
    if (options.follow) follow(std::move(reader), directory->get(), invocation.terminal);
    return 0;
}

}  // namespace

VerbRun prepare_daemon_logs(CLI::App& app) {
    auto options = std::make_shared<LogOptions>();
    app.add_option("-n,--lines", options->lines, "How many of its last lines; 50 if not given")
        ->type_name("NUMBER");
    app.add_flag("-f,--follow", options->follow, "Go on as the log grows, until interrupted");
    return [options](Invocation& invocation) { return run_logs(*options, invocation); };
}

}  // namespace jamsock
