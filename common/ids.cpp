#include "common/ids.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::size_t longest_backend_id = 45;
constexpr std::size_t longest_name = 63;

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view text) {
    const auto allowed = [](char c) {
        return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= longest_name && is_letter_or_digit(text.front()) &&
           std::ranges::all_of(text, allowed);
}

Result<std::string> parse_name(std::string_view what, std::string_view text,
                               std::string_view standard) {
    if (text.empty() || text == "-") return std::string(standard);
    if (is_name(text)) return std::string(text);
    return fail(
        ErrorCode::invalid_request,
        fmt::format("{} is no name of {}: it starts with a letter or digit and has up to {} "
                    "letters, digits, '-', '_' or '.'.",
                    in_quotes(text), what, longest_name));
}

}  // namespace

Result<BackendId> BackendId::parse(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (text.empty() || text.size() > longest_backend_id || !std::ranges::all_of(text, allowed)) {
        return fail(ErrorCode::invalid_request,
                    fmt::format("{} is no backend id: it has 1 to {} of a-z, 0-9 and '-'.",
                                in_quotes(text), longest_backend_id),
                    "jamsock list");
    }
    return BackendId(std::string(text));
}

Result<ServiceName> ServiceName::parse(std::string_view account, std::string_view service,
                                       std::string_view environment) {
    auto account_name = parse_name("an account", account, local_account);
    if (!account_name) return pass_on(account_name);
    auto service_name = parse_name("a service", service, default_service);
    if (!service_name) return pass_on(service_name);
    auto environment_name = parse_name("an environment", environment, default_environment);
    if (!environment_name) return pass_on(environment_name);
    return ServiceName(*account_name, *service_name, *environment_name);
}

Result<ServiceName> ServiceName::parse(std::string_view service_and_environment) {
    const auto slash = service_and_environment.find('/');
    if (slash == std::string_view::npos) return parse({}, service_and_environment);
    const std::string_view service = service_and_environment.substr(0, slash);
    const std::string_view environment = service_and_environment.substr(slash + 1);
    if (!service.empty() && !environment.empty()) return parse({}, service, environment);
    return fail(ErrorCode::invalid_request,
                fmt::format("{} is no service: before and after the '/' must be a name.",
                            in_quotes(service_and_environment)));
}

std::string ServiceName::str() const {
    return is_whole() ? service_ : service_ + "/" + environment_;
}

ServiceName ServiceName::whole() const {
    return ServiceName(account_, service_, std::string(default_environment));
}

ServiceName ServiceName::standard() {
    return ServiceName(std::string(local_account), std::string(default_service),
                       std::string(default_environment));
}

}  // namespace jamsock
