#include "tests/support/terminal_screen.h"

#include "tests/support/eventually.h"

namespace jamsock::test {

TerminalScreen::TerminalScreen(int columns, int rows, const std::vector<std::string>& argv,
                               RunOptions options)
    : options_(std::move(options)) {
    options_.environment["TERM"] = "xterm-256color";
    options_.environment["LANG"] = "C.UTF-8";
    std::vector<std::string> words{"new-session",        "-d", "-x", std::to_string(columns), "-y",
                                   std::to_string(rows), "--"};
    words.insert(words.end(), argv.begin(), argv.end());
    tmux(words);
}

TerminalScreen::~TerminalScreen() {
    run({"/usr/bin/tmux", "-S", directory_.path("tmux"), "kill-server"}, options_);
}

std::string TerminalScreen::tmux(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/tmux", "-u", "-S", directory_.path("tmux"), "-f", "/dev/null"});
    const RunResult done = run(arguments, options_);
    REQUIRE_MESSAGE(done.exit_code == 0, done.err);
    return done.out;
}

void TerminalScreen::type(const std::string& text) const {
    tmux({"send-keys", "-l", "--", text});
}

void TerminalScreen::press(const std::string& key) const {
    tmux({"send-keys", key});
}

void TerminalScreen::enter(const std::string& line) const {
    type(line);
    press("Enter");
}

std::string TerminalScreen::text() const {
    std::string lines = tmux({"capture-pane", "-p"});
    lines.erase(lines.find_last_not_of('\n') + 1);
    return lines;
}

bool TerminalScreen::wraps() const {
    return tmux({"capture-pane", "-p", "-J"}).size() < tmux({"capture-pane", "-p"}).size();
}

bool TerminalScreen::shows(const std::string& part) const {
    return eventually([&] { return text().find(part) != std::string::npos; });
}

}  // namespace jamsock::test
