// The settings that a user may make in config.toml. Strict: what can't be meant as it stands is
// refused, and never passed over.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/proxy/proxy.h"

namespace jamsock {

struct Configuration {
    std::chrono::days history{30};   // how long an ended backend is remembered
    bool dev = false;                // the API also takes the token "-"
    std::vector<std::string> hosts;  // a Host may name this machine by these, too
    ProxyLimits proxy;

    // The file's settings (blocks); all have their defaults if there is no such file.
    static Result<Configuration> read(const std::string& path);
    // What forgets nothing, for where the settings can't be read.
    static Configuration that_keeps_all();
    // The same of a file's text; `path` is for the sentences.
    static Result<Configuration> parse(std::string_view text, const std::string& path);
};

}  // namespace jamsock
