#include "cli/option_values.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <charconv>

#include "common/text.h"
#include "common/token_form.h"

namespace jamsock {

namespace {

tl::unexpected<Error> unfit(std::string_view option, std::string_view wanted,
                            const std::string& text) {
    return fail(ErrorCode::invalid_request, fmt::format("The option {} needs {}; {} is none.",
                                                        option, wanted, in_quotes(text)));
}

}  // namespace

Result<std::chrono::duration<double>> parse_seconds(std::string_view option,
                                                    const std::string& text) {
    double seconds = 0;
    const char* last = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data(), last, seconds);
    if (failed != std::errc{} || end != last || !(seconds > 0)) {
        return unfit(option, "a number of seconds above 0", text);
    }
    return std::chrono::duration<double>(seconds);
}

Result<long long> parse_count(std::string_view option, const std::string& text, long long least,
                              long long most) {
    long long count = 0;
    if (!parse_number(text, count) || count < least || count > most) {
        return unfit(option, fmt::format("a whole number from {} to {}", least, most), text);
    }
    return count;
}

Result<EnvironmentMap> parse_variables(const std::vector<std::string>& texts) {
    EnvironmentMap variables;
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0) return unfit("--env", "NAME=VALUE", text);
        const std::string name = text.substr(0, equals);
        if (is_reserved_variable(name)) {
            return fail(ErrorCode::reserved_env_var,
                        fmt::format("The variable {} is set by jamsock itself and can't be given.",
                                    in_quotes(name)));
        }
        if (auto valid = require_utf8("The option --env", text); !valid) return pass_on(valid);
        variables.insert_or_assign(name, text.substr(equals + 1));
    }
    return variables;
}

Result<ServiceName> parse_service(const std::string& text) {
    if (text.empty()) return fail(ErrorCode::invalid_request, "Give the name of a service.");
    return ServiceName::parse(text);
}

Result<std::string> parse_connection_token(std::string_view option, std::string_view text) {
    if (const auto scheme_end = text.find("://"); scheme_end != std::string_view::npos) {
        const auto path = std::min(text.find('/', scheme_end + 3), text.size());
        text.remove_prefix(std::min(path + 1, text.size()));
        text = text.substr(0, text.find_first_of("/?#"));
    }
    if (has_token_form(text)) return std::string(text);
    return fail(ErrorCode::invalid_request,
                fmt::format("The option {} needs a connection URL, or the {} characters of its "
                            "token.",
                            option, token_length));
}

Result<> require_utf8(std::string_view what, std::string_view text) {
    const auto invalid = utf8::find_invalid(text.begin(), text.end());
    if (invalid == text.end()) return {};
    return fail(ErrorCode::invalid_request,
                fmt::format("{} is not valid UTF-8: {}, byte {}.", what, in_quotes(text),
                            invalid - text.begin() + 1));
}

}  // namespace jamsock
