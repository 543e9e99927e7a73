// A process as people know it: by its pid and what it calls itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "daemon/shim/process_table.h"

namespace jamsock {

struct NamedProcess {
    pid_t pid = 0;
    std::string command;  // as the kernel has it, up to 15 bytes of any kind; empty if it is gone
    friend bool operator==(const NamedProcess&, const NamedProcess&) = default;

    // Reads /proc.
    static NamedProcess of(pid_t pid);
};

// Those of `processes` whose parent is none of them: a shim takes its whole tree along.
std::vector<NamedProcess> topmost(const std::vector<Process>& processes);

}  // namespace jamsock
