// The token that the API asks for over TCP (CONTRACT, Where it listens): a prefix and what every
// token is, in the state directory's `api-token`.
#pragma once

#include <string>
#include <string_view>

namespace jamsock {

inline constexpr std::string_view api_token_prefix = "local.";

bool is_api_token(std::string_view text);

// What the file of the open state directory holds (blocks); empty: no token.
std::string read_api_token(int directory);

}  // namespace jamsock
