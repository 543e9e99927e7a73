// Where the command line's words go: the answer to `out`, everything else to `err`. Commands write
// answers and details; errors are returned, and printed by run_command_line alone (and by what can
// fail for one backend and not for the next).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>

#include "common/error.h"

namespace jamsock {

// Whether texts are coloured: as the terminal of the stream takes it, or as --color says.
enum class ColorRule { automatic, always, never };

struct Terminal {
    std::ostream& out;
    std::ostream& err;
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    bool out_color = false;
    bool err_color = false;
    bool can_redraw = false;  // `err` is a terminal that shows a line of progress
    int out_descriptor = -1;  // what `out` writes to, where it is one
    bool told_version = false;

    // Standard output and error. Colours need a terminal that is not "dumb", and no NO_COLOR.
    static Terminal of_this_process();

    void set_color(ColorRule rule);

    void report(const Error& error);

    // How wide `out` is; nothing where it is no terminal, or one that doesn't say.
    std::optional<std::size_t> columns() const;
    std::optional<std::size_t> err_columns() const;

    // Says, once, that the daemon is of another version than this program.
    void tell_version(const std::string& daemon);

    // Writes out what is pending and waits. False, at once, when nobody reads `out` any more.
    bool pause(std::chrono::milliseconds time) const;
};

}  // namespace jamsock
