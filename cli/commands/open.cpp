#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "cli/child_process.h"
#include "cli/commands/commands.h"
#include "cli/commands/connect.h"
#include "cli/program_path.h"
#include "cli/redirect_page.h"
#include "cli/render.h"
#include "common/environment.h"
#include "common/hints.h"
#include "common/runtime_paths.h"
#include "common/text.h"

namespace jamsock {

namespace {

// A browser's command line: "%s" stands for the page, else the page follows.
using BrowserWords = std::vector<std::string>;

// BROWSER is a list between colons, the first that works counts.
std::vector<BrowserWords> browsers() {
    const auto variable = environment_variable("BROWSER");
    std::vector<BrowserWords> all;
    std::istringstream commands(variable.value_or("xdg-open:sensible-browser"));
    for (std::string command; std::getline(commands, command, ':');) {
        std::istringstream text(command);
        BrowserWords words;
        for (std::string word; text >> word;)
            words.push_back(word);
        if (!words.empty()) all.push_back(std::move(words));
    }
    return all;
}

BrowserWords with_page(BrowserWords words, const std::string& page) {
    bool is_named = false;
    for (std::string& word : words) {
        const auto place = word.find("%s");
        if (place == std::string::npos) continue;
        word.replace(place, 2, page);
        is_named = true;
    }
    if (!is_named) words.push_back(page);
    return words;
}

// 0 if it worked, 128 + n if signal n told this program to end meanwhile.
Result<int> run_browser(const BrowserWords& browser, const std::string& page) {
    auto program = find_program(browser.front(), ".", program_search_path());
    if (!program) return pass_on(program);
    CaughtSignals signals;
    const auto child =
        ChildProcess::start(*program, with_page(browser, page), environment_with({}), signals);
    if (!child) return tl::unexpected(child.error());
    std::optional<int> exit_code;
    std::optional<int> told_to_end;
    while (!(exit_code = child->exit_code())) {
        wait_for_any({signals.fd(), child->fd()}, child->next_look());
        if (const auto signal = child->pass_on(signals)) told_to_end = signal;
    }
    if (told_to_end) return signal_exit_code + *told_to_end;
    if (exit_code == 0) return 0;
    return fail(ErrorCode::unsupported, fmt::format("The browser {} failed with exit code {}.",
                                                    in_quotes(browser.front()), *exit_code));
}

// The last one's failure, if none works.
Result<int> show(const std::string& page) {
    Result<int> shown = fail(ErrorCode::unsupported, "BROWSER names no browser.");
    for (const BrowserWords& browser : browsers()) {
        shown = run_browser(browser, page);
        if (shown) break;
    }
    return shown;
}

Result<int> run_open(const ConnectOptions& options, Invocation& invocation) {
    const auto connected = connect_backend(options, invocation);
    if (!connected) return tl::unexpected(connected.error());
    const auto directory = state_directory_path();
    if (!directory) return tl::unexpected(directory.error());
    auto page = RedirectPage::write(*directory, connected->answer.value.url);
    if (!page) return pass_on(page);
    const Result<int> shown = show(page->file_url());
    if (!shown) {
        return fail(ErrorCode::unsupported,
                    fmt::format("No browser can be opened. {}", shown.error().message),
                    key_command("connect", connected->service, connected->key));
    }
    if (*shown != 0) return *shown;
    page->is_used();
    Terminal& terminal = invocation.terminal;
    if (terminal.err_is_terminal && !options.quiet) {
        terminal.err << render_connect_details(connected->answer.value, connected->key);
    }
    return 0;
}

}  // namespace

VerbRun prepare_open(CLI::App& app) {
    auto options = std::make_shared<ConnectOptions>();
    add_lookup_options(app, *options);
    add_spawn_options(app, *options);
    app.add_flag("-q,--quiet", options->quiet, "Print errors alone");
    app.footer(
        "Connects as 'jamsock connect' does, and runs $BROWSER, else xdg-open or\n"
        "sensible-browser, until that returns. The browser gets the URL from a file that you\n"
        "alone can read, so that it stands in no list of processes; the file goes with the next\n"
        "'open'. A browser that may not read files in hidden directories, as in a sandbox, shows\n"
        "an error: give it the URL that 'jamsock connect' prints.\n");
    return [options](Invocation& invocation) { return run_open(*options, invocation); };
}

}  // namespace jamsock
