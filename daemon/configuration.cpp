#include "daemon/configuration.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "common/limits.h"
#include "common/nearest_name.h"
#include "common/text.h"
#include "common/unique_fd.h"

namespace jamsock {

namespace {

constexpr const char* history_days = "history_days";
constexpr LimitRange history_range{1, 36'500};  // a century, so that sums of times can't overflow
constexpr std::size_t largest_file = 1024 * 1024;

tl::unexpected<Error> refuse(const std::string& path, std::string sentence) {
    return fail(ErrorCode::invalid_request, std::move(sentence), shell_line({"cat", "-n", path}));
}

tl::unexpected<Error> unreadable(const std::string& path, std::string_view why) {
    return fail(ErrorCode::invalid_request,
                fmt::format("The configuration {} can't be read: {}.", in_quotes(path), why),
                shell_line({"ls", "-l", path}));
}

// Empty if there is no file.
Result<std::string> content_of(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::string();
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t length = file ? 1 : -1;
    while (length > 0 && text.size() <= largest_file) {
        length = ::read(file.get(), buffer.data(), buffer.size());
        if (length > 0) text.append(buffer.data(), static_cast<std::size_t>(length));
    }
    if (length < 0) return unreadable(path, ::strerror(errno));
    if (text.size() > largest_file) return unreadable(path, "it is larger than 1 MiB");
    return text;
}

Result<std::chrono::days> days_in(const toml::node& value, const std::string& path) {
    const std::int64_t days = value.is_integer() ? value.as_integer()->get() : 0;
    if (days >= history_range.least && days <= history_range.most) return std::chrono::days(days);
    return refuse(path,
                  fmt::format("The setting '{}' in line {} of {} must be a whole number of days, "
                              "{} to {}.",
                              history_days, value.source().begin.line, in_quotes(path),
                              history_range.least, history_range.most));
}

}  // namespace

Result<Configuration> Configuration::read(const std::string& path) {
    auto text = content_of(path);
    if (!text) return pass_on(text);
    return parse(*text, path);
}

Configuration Configuration::that_keeps_all() {
    return {.history = std::chrono::days(history_range.most)};
}

Result<Configuration> Configuration::parse(std::string_view text, const std::string& path) try {
    Configuration configuration;
    for (const auto& [name, value] : toml::parse(text)) {
        if (name.str() != history_days) {
            return refuse(
                path, fmt::format("There is no setting {} as in line {} of {}.{}",
                                  in_quotes(name.str()), name.source().begin.line, in_quotes(path),
                                  did_you_mean(name.str(), {history_days})));
        }
        auto days = days_in(value, path);
        if (!days) return pass_on(days);
        configuration.history = *days;
    }
    return configuration;
} catch (const toml::parse_error& wrong) {
    return refuse(
        path, fmt::format("The configuration {} is no valid TOML at line {}, column {}.",
                          in_quotes(path), wrong.source().begin.line, wrong.source().begin.column));
}

}  // namespace jamsock
