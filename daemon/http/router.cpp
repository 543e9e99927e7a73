#include "daemon/http/router.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace jamsock {

namespace {

// The next part of a path, up to and without the next '/'. `path` begins with one.
std::string_view take_part(std::string_view& path) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(end);
    return part;
}

bool is_name(std::string_view pattern_part) {
    return pattern_part.starts_with('{') && pattern_part.ends_with('}');
}

std::optional<PathParameters> match(std::string_view pattern, std::string_view path) {
    PathParameters parameters;
    bool ends_in_word = false;
    while (pattern.starts_with('/') && path.starts_with('/')) {
        const std::string_view wanted = take_part(pattern);
        const std::string_view part = take_part(path);
        ends_in_word = !is_name(wanted) && !wanted.empty();
        if (!is_name(wanted)) {
            if (wanted != part) return std::nullopt;
            continue;
        }
        auto value = percent_decoded(part);
        if (!value || value->empty()) return std::nullopt;
        parameters.add(wanted.substr(1, wanted.size() - 2), *std::move(value));
    }
    if (path == "/" && ends_in_word) path = {};
    if (!pattern.empty() || !path.empty()) return std::nullopt;
    return parameters;
}

bool answers(const Endpoint& endpoint, std::string_view method) {
    return endpoint.method == method || (method == "HEAD" && endpoint.method == "GET");
}

}  // namespace

const std::string& PathParameters::operator[](std::string_view name) const {
    for (const auto& [parameter, value] : values_) {
        if (parameter == name) return value;
    }
    throw std::logic_error("a handler asks for a path parameter that its pattern lacks");
}

std::string PathParameters::value_or_empty(std::string_view name) const {
    const auto found = std::ranges::find(values_, name, &decltype(values_)::value_type::first);
    return found == values_.end() ? "" : found->second;
}

Match Router::find(std::string_view method, std::string_view path) const {
    Match found;
    for (const Endpoint& endpoint : endpoints_) {
        auto parameters = match(endpoint.pattern, path);
        if (!parameters) continue;
        if (answers(endpoint, method)) {
            return {&endpoint, endpoint.access, *std::move(parameters), {}};
        }
        found.access = std::max(found.access, endpoint.access);
        found.allowed.push_back(endpoint.method);
        if (endpoint.method == "GET") found.allowed.push_back("HEAD");
    }
    return found;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        const std::string_view digits = text.substr(at + 1, 2);
        unsigned char byte = 0;
        const auto [end, failed] =
            std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        const bool whole = failed == std::errc{} && end == digits.data() + 2;
        if (!whole || byte == 0) return std::nullopt;
        decoded += static_cast<char>(byte);
        at += 2;
    }
    return decoded;
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        std::string part(query.substr(0, end));
        query.remove_prefix(std::min(end + 1, query.size()));

        std::ranges::replace(part, '+', ' ');
        const auto equals = std::min(part.find('='), part.size());
        if (percent_decoded(std::string_view(part).substr(0, equals)) != name) continue;
        const auto value = std::min(equals + 1, part.size());
        if (auto decoded = percent_decoded(std::string_view(part).substr(value))) return decoded;
    }
    return std::nullopt;
}

}  // namespace jamsock
