// A program on a real terminal (tmux): what a person would type, and what they would see.
#pragma once

#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace jamsock::test {

class TerminalScreen {
  public:
    // `options.environment` gets TERM and a UTF-8 locale; its HOME should be the test's own.
    TerminalScreen(int columns, int rows, const std::vector<std::string>& argv, RunOptions options);
    TerminalScreen(const TerminalScreen&) = delete;
    TerminalScreen& operator=(const TerminalScreen&) = delete;
    ~TerminalScreen();

    void type(const std::string& text) const;
    // By tmux's names: "Enter", "Tab", "C-u".
    void press(const std::string& key) const;
    void enter(const std::string& line) const;

    // The lines that it shows, without blanks at their ends and without empty ones below the last.
    std::string text() const;
    // Whether a line was too long for it.
    bool wraps() const;
    // Whether it shows this before the tests' patience ends.
    bool shows(const std::string& part) const;

  private:
    std::string tmux(std::vector<std::string> arguments) const;

    RunOptions options_;
    TemporaryDirectory directory_;
};

}  // namespace jamsock::test
