// How the API's types read and write their JSON: one reader for each kind of field, each failing
// with InvalidRequest and the field's name. Private to common/*_types.cpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/environment.h"
#include "common/ids.h"
#include "common/result.h"

namespace jamsock::json {

using Json = nlohmann::ordered_json;

// A failure to read one field; thrown by the readers below and caught in `read`, so that each
// from_json reads as the list of its fields.
struct BadField {
    Error error;
};

[[noreturn]] void bad_field(std::string_view field, std::string_view wanted);

template <class T>
T value_of(Result<T> parsed) {
    if (!parsed) throw BadField{std::move(parsed.error())};
    return *std::move(parsed);
}

std::string dump(const Json& json);

// Null for a field that is absent or null.
const Json* find(const Json& object, const char* field);
std::optional<std::string> text(const Json& object, const char* field);
// … that goes where U+0000 would end it. `called` names it in an error.
std::optional<std::string> plain_text(const Json& object, const char* field,
                                      std::string_view called);
std::string required_text(const Json& object, const char* field);
std::optional<std::int64_t> number(const Json& object, const char* field);
std::optional<std::int64_t> number_between(const Json& object, const char* field,
                                           std::int64_t least, std::int64_t most);
std::optional<bool> boolean(const Json& object, const char* field);
std::int64_t time(const Json& object, const char* field);  // wall milliseconds
// `field` names the value in an error.
EnvironmentMap variables(const Json& value, const char* field);
void check_variable(const std::string& name, const std::string& content, const char* field);
std::vector<std::string> strings(const Json& value, const char* field);
// From account_name, service_name and environment_name.
ServiceName service_name(const Json& object);

// Refuses every field of `object` but the `known` ones, where a mistyped name must not be passed
// over; `what` begins the sentence ("A service").
void allow_only(const Json& object, std::initializer_list<std::string_view> known,
                std::string_view what);

// The object in `text` (a text of nothing but blanks is an empty object), or why it is none: what
// is nested more than 64 levels deep, or has an object of more than 1,024 fields or of two with one
// name, is refused.
Result<Json> parse_object(std::string_view text);

template <class T, class Reader>
Result<T> read(std::string_view text, Reader reader) {
    auto object = parse_object(text);
    if (!object) return pass_on(object);
    try {
        return reader(*object);
    } catch (const BadField& bad) {
        return tl::unexpected(bad.error);
    }
}

}  // namespace jamsock::json
