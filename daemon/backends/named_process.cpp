#include "daemon/backends/named_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace jamsock {

NamedProcess NamedProcess::of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string command(std::istreambuf_iterator<char>(file), {});
    if (command.ends_with('\n')) command.pop_back();
    return {pid, command};
}

std::vector<NamedProcess> topmost(const std::vector<Process>& processes) {
    std::vector<NamedProcess> top;
    for (const Process& process : processes) {
        const bool is_below =
            std::ranges::find(processes, process.parent, &Process::pid) != processes.end();
        if (!is_below) top.push_back(NamedProcess::of(process.pid));
    }
    return top;
}

}  // namespace jamsock
