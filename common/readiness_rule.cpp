#include "common/readiness_rule.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log_pattern.h"
#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::size_t longest_sign = 1024;

tl::unexpected<Error> refuse(std::string_view called, std::string_view why) {
    return fail(ErrorCode::invalid_request, fmt::format("{} {}.", called, why));
}

Result<> check_pattern(const std::string& text, std::string_view called) {
    const auto pattern = LogPattern::compile(text);
    if (pattern) return {};
    return refuse(called, pattern.error());
}

// What a request line takes as it is (RFC 9112, 3.2): anything else would have to be escaped.
Result<> check_path(const std::string& text, std::string_view called) {
    if (!text.starts_with('/')) {
        return refuse(called,
                      fmt::format("must be a path that begins with '/', not {}", in_quotes(text)));
    }
    const auto bad = std::ranges::find_if(
        text, [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '#'; });
    if (bad == text.end()) return {};
    return refuse(called, fmt::format("has at byte {} what no path of a URL has: {}",
                                      bad - text.begin() + 1, in_quotes(text)));
}

Result<> check(ReadySign::Kind kind, const std::string& text, std::string_view called) {
    if (text.empty()) return refuse(called, "is empty");
    if (text.size() > longest_sign) {
        return refuse(called, fmt::format("is longer than {} bytes", longest_sign));
    }
    if (text.find('\0') != std::string::npos) return refuse(called, "has a U+0000");
    if (kind == ReadySign::Kind::log) return check_pattern(text, called);
    if (kind == ReadySign::Kind::path) return check_path(text, called);
    return {};
}

}  // namespace

Result<ReadySign> ReadySign::parse(Kind kind, std::string text, std::string_view called) {
    if (auto sound = check(kind, text, called); !sound) return pass_on(sound);
    return ReadySign(kind, std::move(text));
}

const char* word(ReadySign::Kind kind) {
    switch (kind) {
        case ReadySign::Kind::log:
            return "log";
        case ReadySign::Kind::path:
            return "path";
        case ReadySign::Kind::exec:
            break;
    }
    return "exec";
}

const char* word(PortRule rule) {
    return rule == PortRule::any ? "any" : "tree";
}

std::optional<PortRule> port_rule_from_word(std::string_view text) {
    for (const PortRule rule : {PortRule::tree, PortRule::any}) {
        if (text == word(rule)) return rule;
    }
    return std::nullopt;
}

ReadinessRule ReadinessRule::over(const ReadinessRule& base) const {
    const auto pick = [](const auto& own, const auto& inherited) { return own ? own : inherited; };
    return {pick(sign, base.sign), pick(listen_fd, base.listen_fd),
            pick(port_owner, base.port_owner)};
}

}  // namespace jamsock
