#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cli/backend_output.h"
#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/log_tail.h"
#include "cli/option_values.h"
#include "cli/since.h"
#include "common/clock.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::size_t block = 64 * 1024;

struct LogsOptions {
    SelectionOptions selection;
    const CLI::Option* lines_option = nullptr;
    std::string lines;
    const CLI::Option* since_option = nullptr;
    std::string since;
    bool follow = false;
};

struct Wanted {
    std::optional<std::size_t> lines;   // the last ones; all if empty
    std::optional<std::int64_t> since;  // wall milliseconds; from the beginning if empty
};

Result<Wanted> parse_wanted(const LogsOptions& options) {
    Wanted wanted;
    if (options.lines_option->count() > 0) {
        auto lines = parse_count("--lines", options.lines);
        if (!lines) return pass_on(lines);
        wanted.lines = static_cast<std::size_t>(*lines);
    }
    if (options.since_option->count() > 0) {
        auto since = parse_since(options.since, wall_milliseconds());
        if (!since) return pass_on(since);
        wanted.since = *since;
    }
    return wanted;
}

std::size_t start_of(const Wanted& wanted, const OutputFiles& files) {
    const std::size_t since = wanted.since ? files.start_since(*wanted.since) : 0;
    if (!wanted.lines) return since;
    const auto read = [&](std::size_t offset, std::size_t size) {
        return files.read_at(offset, size);
    };
    return std::max(since, start_of_last_lines(read, files.size(), *wanted.lines));
}

// The exact bytes; for a terminal, escaped lines.
class Printer {
  public:
    explicit Printer(Terminal& terminal) : terminal_(terminal) {}

    void print(std::string_view bytes) {
        if (terminal_.out_is_terminal) {
            terminal_.out << lines_.add(bytes);
        } else {
            terminal_.out << bytes;
        }
    }
    void print(const OutputFiles& files, std::size_t start) {
        while (terminal_.out && start < files.size()) {
            const std::string bytes = files.read_at(start, block);
            if (bytes.empty()) return;
            print(bytes);
            start += bytes.size();
        }
    }
    void finish() { terminal_.out << lines_.finish(); }

  private:
    Terminal& terminal_;
    LineEscaper lines_;
};

void print_new(const OutputFiles& seen, const OutputFiles& now, Printer& printer,
               Terminal& terminal) {
    const auto start = now.end_of(seen);
    if (!start) {
        printer.print(seen.rest());
        terminal.err << "jamsock: Some output was rotated away before it could be printed.\n";
    }
    printer.print(now, start.value_or(0));
}

// Until the backend has ended and all is printed, or nobody reads it any more.
void follow(const BackendOutput& output, OutputFiles seen, Printer& printer, Terminal& terminal) {
    for (bool may_grow = true; may_grow && terminal.pause(follow_pause);) {
        may_grow = output.may_grow();
        OutputFiles now = output.files();
        print_new(seen, now, printer, terminal);
        seen = std::move(now);
    }
}

Result<UniqueFd> open_state(const BackendId& id) {
    auto directory = open_existing_state_directory();
    if (directory && !*directory) return tl::unexpected(no_such_backend(id));
    return directory;
}

Result<int> run_logs(const LogsOptions& options, const Invocation& invocation) {
    const auto wanted = parse_wanted(options);
    if (!wanted) return tl::unexpected(wanted.error());
    const auto id = resolve_one(options.selection, invocation, "The output is printed",
                                deadline_in(timeouts::client_answer));
    if (!id) return tl::unexpected(id.error());
    auto state = open_state(*id);
    if (!state) return pass_on(state);
    auto output = BackendOutput::find(state->get(), *id);
    if (!output) return pass_on(output);

    Printer printer(invocation.terminal);
    OutputFiles files = output->files();
    printer.print(files, start_of(*wanted, files));
    if (options.follow) follow(*output, std::move(files), printer, invocation.terminal);
    printer.finish();
    return 0;
}

}  // namespace

VerbRun prepare_logs(CLI::App& app) {
    auto options = std::make_shared<LogsOptions>();
    add_selection_options(app, options->selection);
    app.add_flag("-f,--follow", options->follow, "Go on as it grows, until the backend has ended");
    options->lines_option =
        app.add_option("-n,--lines", options->lines, "Only the last ones")->type_name("NUMBER");
    options->since_option =
        app.add_option("--since", options->since,
                       "Only what came since: 10s, 5m, 2h, 1d ago, 09:30, or an ISO 8601 time")
            ->type_name("TIME");
    app.footer(
        "Needs no daemon for an ID. In a pipe the bytes are those that the backend wrote; on a\n"
        "terminal control characters are escaped. The newest 20 to 30 MiB are kept.\n");
    return [options](Invocation& invocation) { return run_logs(*options, invocation); };
}

}  // namespace jamsock
