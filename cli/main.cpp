#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/terminal.h"

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    jamsock::Terminal terminal = jamsock::Terminal::of_this_process();
    return jamsock::run_command_line(words, terminal);
}
