// The only reader of the process's environment variables.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace jamsock {

using EnvironmentMap = std::map<std::string, std::string>;

// The value of the variable `name`; nothing if it is unset or empty.
std::optional<std::string> environment_variable(const char* name);

// What a backend may inherit of this process's environment: HOME, USER, LOGNAME, SHELL, LANG,
// LC_*, TZ, TMPDIR and PATH, as far as they are set (CONTRACT, What a backend gets).
EnvironmentMap base_environment();

// "NAME=value", as exec(3) takes them: the variables of this process as they are, but for those
// that `given` has, in their place or beside them.
std::vector<std::string> environment_with(const EnvironmentMap& given);

// Whether `name` is one of the variables that only jamsock sets for a backend.
bool is_reserved_variable(const std::string& name);

}  // namespace jamsock
