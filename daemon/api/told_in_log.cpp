#include "daemon/api/told_in_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/token_form.h"

namespace jamsock {

namespace {

std::string without_tokens(std::string_view text) {
    std::string told;
    while (!text.empty()) {
        const auto word_end = std::ranges::find_if_not(text, may_be_of_token);
        const auto size = static_cast<std::size_t>(word_end - text.begin());
        told += size < token_length ? text.substr(0, size) : "…";
        text.remove_prefix(size);
        const auto next_word = std::ranges::find_if(text, may_be_of_token);
        const auto gap = static_cast<std::size_t>(next_word - text.begin());
        told += text.substr(0, gap);
        text.remove_prefix(gap);
    }
    return told;
}

}  // namespace

std::string told_in_log(const Error& error) {
    const std::string_view name = info(error.code).name;
    const bool names_path =
        error.code == ErrorCode::route_not_found || error.code == ErrorCode::method_not_allowed;
    return names_path ? std::string(name)
                      : fmt::format("{}: {}", name, without_tokens(with_cause(error)));
}

}  // namespace jamsock
