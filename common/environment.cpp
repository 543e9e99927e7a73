#include "common/environment.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace jamsock {

namespace {

constexpr std::array<std::string_view, 8> inherited{"HOME", "USER", "LOGNAME", "SHELL",
                                                    "LANG", "TZ",   "TMPDIR",  "PATH"};
constexpr std::array<std::string_view, 13> reserved{"PORT",
                                                    "HOST",
                                                    "SESSION_BACKEND_ID",
                                                    "SESSION_BACKEND_KEY",
                                                    "SESSION_BACKEND_FENCING_TOKEN",
                                                    "SESSION_BACKEND_STATIC_TOKEN",
                                                    "JAMSOCKET_SERVICE",
                                                    "JAMSOCK_MARK",
                                                    "JAMSOCK_MOUNT",
                                                    "NOTIFY_SOCKET",
                                                    "LISTEN_FDS",
                                                    "LISTEN_PID",
                                                    "LISTEN_FDNAMES"};

bool is_inherited(std::string_view name) {
    return name.starts_with("LC_") || std::ranges::find(inherited, name) != inherited.end();
}

}  // namespace

std::optional<std::string> environment_variable(const char* name) {
    const char* value = ::secure_getenv(name);
    if (!value || !*value) return std::nullopt;
    return value;
}

EnvironmentMap base_environment() {
    EnvironmentMap variables;
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string_view text = *entry;
        const auto equals = text.find('=');
        if (equals == std::string_view::npos || !is_inherited(text.substr(0, equals))) continue;
        variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return variables;
}

std::vector<std::string> environment_with(const EnvironmentMap& given) {
    std::vector<std::string> variables;
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string text = *entry;
        if (!given.contains(text.substr(0, text.find('=')))) variables.push_back(text);
    }
    for (const auto& [name, value] : given)
        variables.push_back(name + "=" + value);
    return variables;
}

bool is_reserved_variable(const std::string& name) {
    return std::ranges::find(reserved, name) != reserved.end();
}

}  // namespace jamsock
