// Where the command line's words go: the answer to `out`, everything else to `err`. Commands write
// answers and details; errors are returned, and printed by run_command_line alone (and by
// `terminate`, which can fail for one backend and not for the next).
#pragma once

#include <chrono>
#include <ostream>

#include "common/error.h"

namespace jamsock {

struct Terminal {
    std::ostream& out;
    std::ostream& err;
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    bool color = false;       // on `err`
    int out_descriptor = -1;  // what `out` writes to, where it is one

    // Standard output and error. Color needs a terminal that is not "dumb", and no NO_COLOR.
    static Terminal of_this_process();

    void report(const Error& error);

    // Writes out what is pending and waits. False, at once, when nobody reads `out` any more.
    bool pause(std::chrono::milliseconds time) const;
};

}  // namespace jamsock
