#include "common/log_pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <optional>

#include "common/text.h"

namespace jamsock {

namespace {

re2::RE2::Options options() {
    re2::RE2::Options options;
    options.set_encoding(re2::RE2::Options::EncodingLatin1);  // a line's bytes need not be UTF-8
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(static_cast<std::int64_t>(LogPattern::most_memory));
    return options;
}

// POSIX tools know \< and \> as a word's edges; RE2 would take them for the characters.
std::optional<std::size_t> word_edge_in(std::string_view text) {
    for (std::size_t at = 0; at + 1 < text.size(); ++at) {
        if (text[at] != '\\') continue;
        ++at;
        if (text[at] == '<' || text[at] == '>') return at - 1;
    }
    return std::nullopt;
}

std::string too_large(const std::string& text) {
    return fmt::format("is too large a pattern: {}", in_quotes(text));
}

// RE2's own words, with the part of the pattern that it names in quotes.
std::string not_one(const re2::RE2& compiled, const std::string& text) {
    std::string why = compiled.error();
    const std::string& part = compiled.error_arg();
    if (why.ends_with(part)) {
        why.resize(why.size() - part.size());
        why += in_quotes(part);
    }
    return fmt::format("is not a regular expression: {}: {}", in_quotes(text), why);
}

}  // namespace

LogPattern::LogPattern(std::unique_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {
}
LogPattern::LogPattern(LogPattern&&) noexcept = default;
LogPattern& LogPattern::operator=(LogPattern&&) noexcept = default;
LogPattern::~LogPattern() = default;

tl::expected<LogPattern, std::string> LogPattern::compile(const std::string& text) {
    if (const auto edge = word_edge_in(text)) {
        return tl::unexpected(
            fmt::format("has at byte {} '{}', for which RE2's syntax has '\\b': {}", *edge + 1,
                        text.substr(*edge, 2), in_quotes(text)));
    }
    auto compiled = std::make_unique<const re2::RE2>(text, options());
    if (compiled->error_code() == re2::RE2::ErrorPatternTooLarge)
        return tl::unexpected(too_large(text));
    if (!compiled->ok()) return tl::unexpected(not_one(*compiled, text));
    if (compiled->ProgramSize() > largest_program) return tl::unexpected(too_large(text));
    return LogPattern(std::move(compiled));
}

bool LogPattern::matches(std::string_view line) const {
    return compiled_->Match(line, 0, line.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

}  // namespace jamsock
