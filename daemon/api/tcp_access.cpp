#include "daemon/api/tcp_access.h"

#include <sodium.h>

#include <algorithm>

#include "daemon/http/head_rules.h"

namespace jamsock {

namespace {

constexpr std::string_view dev_token = "-";

// RFC 6750, 2.1; the scheme in any letter case (RFC 9110, 11.1).
std::string_view bearer_token(const Request& request) {
    constexpr std::string_view scheme = "bearer ";
    const std::string* field = request.header("authorization");
    const std::string_view value = field ? std::string_view(*field) : std::string_view();
    if (!equal_ignoring_case(value.substr(0, scheme.size()), scheme)) return {};
    const auto start = value.find_first_not_of(' ', scheme.size());
    return start == std::string_view::npos ? std::string_view() : value.substr(start);
}

bool is_foreign_origin(const Request& request) {
    const std::string host = request.header("host") ? *request.header("host") : "";
    return std::ranges::any_of(request.headers, [&](const auto& header) {
        return equal_ignoring_case(header.first, "origin") && !is_own_origin(header.second, host);
    });
}

}  // namespace

bool TcpAccess::is_ours(std::string_view given) const {
    if (takes_dev_token && given == dev_token) return true;
    return !token.empty() && given.size() == token.size() &&
           ::sodium_memcmp(given.data(), token.data(), token.size()) == 0;
}

bool TcpAccess::shows_token(const Request& request) const {
    const std::string_view given = bearer_token(request);
    return given != dev_token && is_ours(given);
}

std::optional<Error> TcpAccess::refuses(const Request& request, Access access) const {
    const std::string* host = request.header("host");
    if (!host || !is_own_host(*host, hosts)) {
        return Error{ErrorCode::forbidden, not_own_host, {}, {}};
    }
    if (access != Access::token) return std::nullopt;
    if (is_foreign_origin(request)) {
        return Error{ErrorCode::forbidden,
                     "A page of another origin may read the public status only; call the API from "
                     "a server.",
                     {},
                     {}};
    }
    if (is_ours(bearer_token(request))) return std::nullopt;
    return Error{ErrorCode::invalid_auth,
                 "The request needs 'Authorization: Bearer' with this daemon's API token.",
                 "jamsock env",
                 {}};
}

}  // namespace jamsock
