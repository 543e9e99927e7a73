#include "common/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "common/clock.h"
#include "common/json_escapes.h"
#include "common/text.h"

namespace jamsock::json {

namespace {

constexpr std::size_t deepest = 64;        // handling it must not exhaust the stack
constexpr std::size_t most_names = 1'024;  // of one object: to read it takes their square

[[noreturn]] void refuse(std::string sentence) {
    throw BadField{{ErrorCode::invalid_request, std::move(sentence), {}, {}}};
}

// Counts the levels and the names of a text as it nests, if it is JSON.
class Shape {
  public:
    std::size_t names() const { return names_; }

    void open() {
        if (depth_ == deepest)
            refuse(fmt::format("The JSON body is nested more than {} levels deep.", deepest));
        names_at_[depth_++] = 0;
    }
    void close() {
        if (depth_ > 0) --depth_;
    }
    void name() {
        ++names_;
        if (depth_ > 0 && ++names_at_[depth_ - 1] > most_names)
            refuse(fmt::format("An object in the JSON body has more than {} fields.", most_names));
    }

  private:
    std::array<std::size_t, deepest> names_at_{};  // of each level that is open
    std::size_t depth_ = 0;
    std::size_t names_ = 0;
};

// How many names the text gives.
std::size_t count_names(std::string_view text) {
    Shape shape;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string && c == '\\') {
            ++at;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            continue;
        } else if (c == '{' || c == '[') {
            shape.open();
        } else if (c == '}' || c == ']') {
            shape.close();
        } else if (c == ':') {
            shape.name();
        }
    }
    return shape.names();
}

std::size_t names_in(const Json& value) {
    if (!value.is_structured()) return 0;
    std::size_t names = value.is_object() ? value.size() : 0;
    for (const Json& part : value)
        names += names_in(part);
    return names;
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// The name that an object gives twice. A document has lost it, so the text is read once more.
std::string doubled_name(std::string_view text) {
    std::vector<std::set<std::string>> open;
    std::string doubled;
    const auto watch = [&](int, Json::parse_event_t event, const Json& value) {
        using Event = Json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) open.emplace_back();
        if (event == Event::object_end || event == Event::array_end) open.pop_back();
        if (event != Event::key) return true;
        const auto& name = value.get_ref<const std::string&>();
        if (!open.back().insert(name).second) doubled = name;
        return true;
    };
    [[maybe_unused]] const Json again = Json::parse(text, watch);
    return doubled;
}

// Of two fields with one name either could be meant.
Json parse(std::string_view text) {
    const std::size_t names = count_names(text);
    Json document = Json::parse(text);
    if (names_in(document) == names) return document;
    refuse(fmt::format("The field {} is given twice.", in_quotes(doubled_name(text))));
}

}  // namespace

void bad_field(std::string_view field, std::string_view wanted) {
    throw BadField{{ErrorCode::invalid_request,
                    fmt::format("The field {} must be {}.", in_quotes(field), wanted),
                    {},
                    {}}};
}

std::string dump(const Json& json) {
    return with_controls_escaped(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

const Json* find(const Json& object, const char* field) {
    const auto found = object.find(field);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> text(const Json& object, const char* field) {
    const Json* value = find(object, field);
    if (!value) return std::nullopt;
    if (!value->is_string()) bad_field(field, "a string");
    return value->get<std::string>();
}

std::optional<std::string> plain_text(const Json& object, const char* field,
                                      std::string_view called) {
    const Json* value = find(object, field);
    if (!value) return std::nullopt;
    if (!value->is_string()) bad_field(called, "a string");
    auto content = value->get<std::string>();
    if (content.find('\0') != std::string::npos) bad_field(called, "free of U+0000");
    return content;
}

std::string required_text(const Json& object, const char* field) {
    auto value = text(object, field);
    if (!value) bad_field(field, "a string");
    return *value;
}

std::optional<std::int64_t> number(const Json& object, const char* field) {
    const Json* value = find(object, field);
    if (!value) return std::nullopt;
    constexpr auto largest = std::numeric_limits<std::int64_t>::max();
    const bool too_large = value->is_number_unsigned() && value->get<std::uint64_t>() > largest;
    if (!value->is_number_integer() || too_large) bad_field(field, "a whole number");
    return value->get<std::int64_t>();
}

std::optional<std::int64_t> number_between(const Json& object, const char* field,
                                           std::int64_t least, std::int64_t most) {
    const auto value = number(object, field);
    if (value && (*value < least || *value > most)) {
        bad_field(field, fmt::format("{} to {}", least, most));
    }
    return value;
}

std::optional<bool> boolean(const Json& object, const char* field) {
    const Json* value = find(object, field);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) bad_field(field, "true or false");
    return value->get<bool>();
}

std::int64_t time(const Json& object, const char* field) {
    const auto time = parse_iso_time(required_text(object, field));
    if (!time) bad_field(field, "a time such as 2026-11-23T09:30:00Z");
    return *time;
}

void check_variable(const std::string& name, const std::string& content, const char* field) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
        content.find('\0') != std::string::npos) {
        bad_field(field, "an object whose names have no '=' and whose texts have no U+0000");
    }
}

EnvironmentMap variables(const Json& value, const char* field) {
    if (!value.is_object()) bad_field(field, "an object of strings");
    EnvironmentMap map;
    for (const auto& [name, entry] : value.items()) {
        if (!entry.is_string()) bad_field(field, "an object of strings");
        check_variable(name, entry.get<std::string>(), field);
        map.emplace(name, entry.get<std::string>());
    }
    return map;
}

std::vector<std::string> strings(const Json& value, const char* field) {
    if (!value.is_array()) bad_field(field, "an array of strings");
    std::vector<std::string> list;
    for (const Json& entry : value) {
        if (!entry.is_string()) bad_field(field, "an array of strings");
        list.push_back(entry.get<std::string>());
        if (list.back().find('\0') != std::string::npos) bad_field(field, "free of U+0000");
    }
    return list;
}

ServiceName service_name(const Json& object) {
    return value_of(ServiceName::parse(text(object, "account_name").value_or(""),
                                       required_text(object, "service_name"),
                                       text(object, "environment_name").value_or("")));
}

void allow_only(const Json& object, std::initializer_list<std::string_view> known,
                std::string_view what) {
    for (const auto& [name, value] : object.items()) {
        if (std::ranges::find(known, name) != known.end()) continue;
        throw BadField{{ErrorCode::invalid_request,
                        fmt::format("{} has no {}; it has '{}'.", what, in_quotes(name),
                                    fmt::join(known, "', '")),
                        {},
                        {}}};
    }
}

Result<Json> parse_object(std::string_view text) {
    try {
        Json object = is_blank(text) ? Json::object() : parse(text);
        if (object.is_object()) return object;
        return fail(ErrorCode::invalid_request, "The JSON body must be an object.");
    } catch (const BadField& bad) {
        return tl::unexpected(bad.error);
    } catch (const Json::parse_error& bad) {
        return fail(ErrorCode::invalid_request,
                    fmt::format("The body is not valid JSON at byte {}.", bad.byte));
    } catch (const Json::exception&) {
        return fail(ErrorCode::invalid_request, "The JSON body has a value out of range.");
    }
}

}  // namespace jamsock::json
