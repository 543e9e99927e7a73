#include "cli/terminal.h"

#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "cli/render.h"
#include "common/environment.h"

namespace jamsock {

Terminal Terminal::of_this_process() {
    const bool err_is_terminal = ::isatty(STDERR_FILENO) == 1;
    const bool color = err_is_terminal && !environment_variable("NO_COLOR") &&
                       environment_variable("TERM").value_or("dumb") != "dumb";
    return Terminal{std::cout,       std::cerr, ::isatty(STDOUT_FILENO) == 1,
                    err_is_terminal, color,     STDOUT_FILENO};
}

void Terminal::report(const Error& error) {
    out.flush();
    err << render_error(error, color);
}

bool Terminal::pause(std::chrono::milliseconds time) const {
    pollfd reader{out_descriptor, 0, 0};  // an error or a hang-up alone ends the wait
    return out.flush() && ::poll(&reader, 1, static_cast<int>(time.count())) == 0;
}

}  // namespace jamsock
