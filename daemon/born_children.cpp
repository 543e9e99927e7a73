#include "daemon/born_children.h"

#include <stdlib.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "common/environment.h"

namespace jamsock {

namespace {

constexpr const char* variable = "JAMSOCK_BORN_CHILDREN";  // "<pid> <start time> <pid> …"

}  // namespace

void remember_born_children() {
    std::string text;
    for (const Process& process : all_processes()) {
        if (process.parent != ::getpid()) continue;
        text += std::to_string(process.pid) + " " + std::to_string(process.start_time) + " ";
    }
    ::setenv(variable, text.c_str(), 1);
}

std::vector<Process> born_children() {
    std::vector<Process> children;
    std::istringstream text(environment_variable(variable).value_or(""));
    for (Process child; text >> child.pid >> child.start_time;)
        children.push_back(child);
    return children;
}

}  // namespace jamsock
