#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "cli/render.h"
#include "common/environment.h"
#include "common/version.h"

namespace jamsock {

namespace {

std::optional<std::size_t> columns_of(int terminal) {
    winsize size{};
    const bool known = ::ioctl(terminal, TIOCGWINSZ, &size) == 0;
    if (!known || size.ws_col == 0) return std::nullopt;
    return size.ws_col;
}

}  // namespace

Terminal Terminal::of_this_process() {
    const bool is_able = environment_variable("TERM").value_or("dumb") != "dumb";
    const bool is_wanted = is_able && !environment_variable("NO_COLOR");
    const bool out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
    const bool err_is_terminal = ::isatty(STDERR_FILENO) == 1;
    return Terminal{.out = std::cout,
                    .err = std::cerr,
                    .out_is_terminal = out_is_terminal,
                    .err_is_terminal = err_is_terminal,
                    .out_color = out_is_terminal && is_wanted,
                    .err_color = err_is_terminal && is_wanted,
                    .can_redraw = err_is_terminal && is_wanted,
                    .out_descriptor = STDOUT_FILENO};
}

void Terminal::set_color(ColorRule rule) {
    if (rule == ColorRule::automatic) return;
    out_color = err_color = rule == ColorRule::always;
    can_redraw = can_redraw && rule != ColorRule::never;
}

void Terminal::report(const Error& error) {
    out.flush();
    err << render_error(error, err_color);
}

std::optional<std::size_t> Terminal::columns() const {
    return out_is_terminal ? columns_of(out_descriptor) : std::nullopt;
}

std::optional<std::size_t> Terminal::err_columns() const {
    return err_is_terminal ? columns_of(STDERR_FILENO) : std::nullopt;
}

void Terminal::tell_version(const std::string& daemon) {
    if (told_version || daemon.empty() || daemon == version()) return;
    told_version = true;
    err << render_other_version(daemon);
}

bool Terminal::pause(std::chrono::milliseconds time) const {
    pollfd reader{out_descriptor, 0, 0};  // an error or a hang-up alone ends the wait
    return out.flush() && ::poll(&reader, 1, static_cast<int>(time.count())) == 0;
}

}  // namespace jamsock
