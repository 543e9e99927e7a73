// Whose pages may upgrade a request to a backend, as its service sets it (CONTRACT, The proxy).
// Pure.
#pragma once

#include <optional>
#include <string_view>

namespace jamsock {

enum class OriginRule {
    any,     // everybody's: the secret is the URL's token
    strict,  // only those that the backend's own URL served, by the request's Origin and Host
};
const char* word(OriginRule rule);
std::optional<OriginRule> origin_rule_from_word(std::string_view word);

}  // namespace jamsock
