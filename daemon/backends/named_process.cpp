#include "daemon/backends/named_process.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace jamsock {

NamedProcess NamedProcess::of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string command(std::istreambuf_iterator<char>(file), {});
    if (command.ends_with('\n')) command.pop_back();
    return {pid, command};
}

}  // namespace jamsock
