#include "tests/bench/support/process_cost.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace jamsock::bench {

double processor_time_us(pid_t process) {
    double nanoseconds = 0;
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), gone)) {
        double on_processor = 0;
        std::ifstream(thread.path() / "schedstat") >> on_processor;
        nanoseconds += on_processor;
    }
    return nanoseconds / 1000;
}

Memory memory_of(pid_t process) {
    std::ifstream lines(fmt::format("/proc/{}/smaps_rollup", process));
    Memory memory;
    for (std::string line; std::getline(lines, line);) {
        const auto value = [&line] { return std::stod(line.substr(line.find(':') + 1)); };
        if (line.starts_with("Rss:")) memory.resident_kib = value();
        if (line.starts_with("Pss:")) memory.proportional_kib = value();
        if (line.starts_with("Private_Clean:")) memory.private_kib += value();
        if (line.starts_with("Private_Dirty:")) memory.private_kib += value();
    }
    if (memory.proportional_kib == 0) throw std::runtime_error("a process can't be measured");
    return memory;
}

}  // namespace jamsock::bench
