#include "daemon/configuration.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <variant>

#include "common/limits.h"
#include "common/nearest_name.h"
#include "common/text.h"
#include "common/unique_fd.h"
#include "daemon/http/head_rules.h"

namespace jamsock {

namespace {

struct WholeNumber {
    std::string_view counted;  // what it is a number of
    LimitRange range;
    void (*set)(Configuration& configuration, std::int64_t number);
};

struct TrueOrFalse {
    void (*set)(Configuration& configuration, bool on);
};

struct HostNames {
    void (*set)(Configuration& configuration, std::vector<std::string> names);
};

struct Setting {
    std::string_view section;  // empty: it stands above all sections
    std::string_view name;
    std::variant<WholeNumber, TrueOrFalse, HostNames> value;
};

constexpr LimitRange history_range{1, 36'500};  // a century, so that sums of times can't overflow
constexpr LimitRange proxy_range{1, 1'000'000};

constexpr std::array settings{
    Setting{"", "history_days",
            WholeNumber{"days", history_range,
                        [](Configuration& configuration, std::int64_t days) {
                            configuration.history = std::chrono::days(days);
                        }}},
    Setting{"", "dev",
            TrueOrFalse{[](Configuration& configuration, bool on) { configuration.dev = on; }}},
    Setting{"", "hosts",
            HostNames{[](Configuration& configuration, std::vector<std::string> names) {
                configuration.hosts = std::move(names);
            }}},
    Setting{"proxy", "max_connections",
            WholeNumber{"connections", proxy_range,
                        [](Configuration& configuration, std::int64_t connections) {
                            configuration.proxy.max_connections =
                                static_cast<std::size_t>(connections);
                        }}},
    Setting{"proxy", "max_held_requests",
            WholeNumber{"requests", proxy_range,
                        [](Configuration& configuration, std::int64_t requests) {
                            configuration.proxy.max_held_requests =
                                static_cast<std::size_t>(requests);
                        }}},
};

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

std::string dotted(std::string_view section, std::string_view name) {
    return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

const Setting* find_setting(std::string_view section, std::string_view name) {
    const auto found = std::ranges::find_if(settings, [&](const Setting& setting) {
        return setting.section == section && setting.name == name;
    });
    return found == settings.end() ? nullptr : &*found;
}

bool is_section(std::string_view name) {
    return !name.empty() && std::ranges::count(settings, name, &Setting::section) > 0;
}

tl::unexpected<Error> no_such_setting(std::string_view section, const toml::key& name,
                                      const std::string& path) {
    std::vector<std::string> known;
    for (const Setting& setting : settings)
        known.push_back(dotted(setting.section, setting.name));
    const std::string given = dotted(section, name.str());
    return refuse(
        path, fmt::format("There is no setting {} as in line {} of {}.{}", in_quotes(given),
                          name.source().begin.line, in_quotes(path), did_you_mean(given, known)));
}

// Sets it; gives what is wrong with the value, or null.
const toml::node* set(const WholeNumber& setting, const toml::node& value,
                      Configuration& configuration) {
    const auto number = value.value_exact<std::int64_t>();
    if (!number || *number < setting.range.least || *number > setting.range.most) return &value;
    setting.set(configuration, *number);
    return nullptr;
}

const toml::node* set(const TrueOrFalse& setting, const toml::node& value,
                      Configuration& configuration) {
    const auto on = value.value_exact<bool>();
    if (!on) return &value;
    setting.set(configuration, *on);
    return nullptr;
}

const toml::node* set(const HostNames& setting, const toml::node& value,
                      Configuration& configuration) {
    if (!value.is_array()) return &value;
    std::vector<std::string> names;
    for (const toml::node& element : *value.as_array()) {
        auto name = element.value_exact<std::string>();
        if (!name || !is_host_name(*name)) return &element;
        names.push_back(*std::move(name));
    }
    setting.set(configuration, std::move(names));
    return nullptr;
}

std::string must_be(const WholeNumber& setting) {
    return fmt::format("a whole number of {}, {} to {}", setting.counted, setting.range.least,
                       setting.range.most);
}

std::string must_be(const TrueOrFalse&) {
    return "true or false";
}

std::string must_be(const HostNames&) {
    return "a list of host names without ports, as [\"devbox\"]";
}

Result<> take(const Setting& setting, const toml::node& value, const std::string& path,
              Configuration& configuration) {
    const toml::node* const wrong = std::visit(
        [&](const auto& kind) { return set(kind, value, configuration); }, setting.value);
    if (!wrong) return {};
    return refuse(path, fmt::format("The setting '{}' in line {} of {} must be {}.",
                                    dotted(setting.section, setting.name),
                                    wrong->source().begin.line, in_quotes(path),
                                    std::visit([](const auto& kind) { return must_be(kind); },
                                               setting.value)));
}

Result<> read_setting(std::string_view section, const toml::key& name, const toml::node& value,
                      const std::string& path, Configuration& configuration) {
    const Setting* const setting = find_setting(section, name.str());
    if (!setting) return no_such_setting(section, name, path);
    return take(*setting, value, path, configuration);
}

Result<> read_section(const toml::key& section, const toml::node& content, const std::string& path,
                      Configuration& configuration) {
    if (!content.is_table()) {
        return refuse(path,
                      fmt::format("The setting '{0}' in line {1} of {2} must be a section: "
                                  "[{0}].",
                                  section.str(), section.source().begin.line, in_quotes(path)));
    }
    for (const auto& [name, value] : *content.as_table()) {
        auto read = read_setting(section.str(), name, value, path, configuration);
        if (!read) return read;
    }
    return {};
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
        auto read = is_section(name.str()) ? read_section(name, value, path, configuration)
                                           : read_setting("", name, value, path, configuration);
        if (!read) return pass_on(read);
    }
    return configuration;
} catch (const toml::parse_error& wrong) {
    return refuse(
        path, fmt::format("The configuration {} is no valid TOML at line {}, column {}.",
                          in_quotes(path), wrong.source().begin.line, wrong.source().begin.column));
}

}  // namespace jamsock
