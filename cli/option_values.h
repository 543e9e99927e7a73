// Reads the texts that options were given, with a sentence that says what was wanted.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/environment.h"
#include "common/ids.h"
#include "common/result.h"

namespace jamsock {

// "2.5": above 0.
Result<std::chrono::duration<double>> parse_seconds(std::string_view option,
                                                    const std::string& text);

// "10": whole, `least` to `most`.
Result<long long> parse_count(std::string_view option, const std::string& text, long long least = 0,
                              long long most = 1'000'000'000);

// "NAME=VALUE" texts; of two with one name the later counts. Reserved names are refused.
Result<EnvironmentMap> parse_variables(const std::vector<std::string>& texts);

// "editor" or "editor/staging"; unlike where a service may be left out, an empty one is refused.
Result<ServiceName> parse_service(const std::string& text);

// The 43 characters of a connection token, or the URL that has it as the first part of its path. An
// error doesn't show the text: it may be a secret.
Result<std::string> parse_connection_token(std::string_view option, std::string_view text);

// What goes into JSON must be UTF-8; `what` names the thing in the error ("The tag").
Result<> require_utf8(std::string_view what, std::string_view text);

}  // namespace jamsock
