// What tests look up in /proc.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "daemon/shim/process_table.h"

namespace jamsock::test {

// The processes, zombies left out, whose environment has the entry "NAME=value".
std::vector<pid_t> processes_with(const std::string& variable);

// … whose command line has an argument that begins with `text`.
std::vector<pid_t> processes_naming(const std::string& text);

// The keepers and workers that run on a state directory.
std::vector<pid_t> keepers_of(const std::string& state_directory);
std::vector<pid_t> workers_of(const std::string& state_directory);

// The shims of this instance's backends, also of those whose directory is in its history by now.
std::vector<Process> shims_of(const std::string& state_directory);

// "NAME=value" entries, sorted.
std::vector<std::string> environment_of(pid_t pid);

// What a process's open descriptors lead to, as /proc has it: {0, "/dev/null"}, …
using Descriptors = std::map<int, std::string>;
Descriptors descriptors_of(pid_t pid);

// Bytes of memory that a process has, and the most that it ever had.
std::size_t resident_memory(pid_t pid);
std::size_t peak_memory(pid_t pid);

pid_t parent_of(pid_t pid);

}  // namespace jamsock::test
