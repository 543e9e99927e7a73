// What a process costs, as /proc has it. Throws std::runtime_error where that can't be read.
#pragma once

#include <sys/types.h>

namespace jamsock::bench {

// Of all its threads so far; microseconds.
double processor_time_us(pid_t process);

struct Memory {
    double proportional_kib = 0;  // what is shared counts in parts
    double private_kib = 0;
    double resident_kib = 0;
};

Memory memory_of(pid_t process);

}  // namespace jamsock::bench
