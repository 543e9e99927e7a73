// Whether a JSON value is what a schema of the API's description says: of JSON Schema the part that
// the description uses. Stricter in one thing: a field that an object's `properties` don't name is
// wrong, unless `additionalProperties` has a schema for it, so that what is answered is described.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace jamsock::test {

class JsonSchemas {
  public:
    using Json = nlohmann::json;

    // `document`: where a "$ref" leads into.
    explicit JsonSchemas(const Json& document) : document_(document) {}

    // `object`, or what it refers to.
    const Json& resolved(const Json& object) const {
        if (!object.contains("$ref")) return object;
        return document_.at(Json::json_pointer(object["$ref"].get<std::string>().substr(1)));
    }

    // What is wrong first, with its place ("/keys/0/status: …"); empty: nothing.
    std::string wrong_with(const Json& value, const Json& referring,
                           const std::string& place = "") const {
        const Json& schema = resolved(referring);
        if (!knows_all_of(schema)) return place + ": a schema with unknown words, " + schema.dump();
        if (!is_of_type(value, schema) || !is_in_enum(value, schema) || is_less(value, schema))
            return place + ": " + value.dump() + " is not " + schema.dump();
        if (value.is_object()) return wrong_with_object(value, schema, place);
        if (value.is_array() && schema.contains("items")) {
            return wrong_with_array(value, schema["items"], place);
        }
        return {};
    }

  private:
    static bool knows_all_of(const Json& schema) {
        static const std::set<std::string> known{
            "type",    "required",   "properties", "items",     "enum",    "additionalProperties",
            "minimum", "maximum",    "minLength",  "maxLength", "pattern", "format",
            "default", "description"};
        return std::ranges::all_of(schema.items(),
                                   [](const auto& word) { return known.contains(word.key()); });
    }

    static bool is_called(const Json& value, const std::string& type) {
        if (type == "integer") return value.is_number_integer();
        return type == value.type_name();
    }

    static bool is_of_type(const Json& value, const Json& schema) {
        if (!schema.contains("type")) return false;
        const Json& type = schema["type"];
        if (type.is_string()) return is_called(value, type);
        return std::ranges::any_of(type, [&](const Json& one) { return is_called(value, one); });
    }

    static bool is_in_enum(const Json& value, const Json& schema) {
        if (!schema.contains("enum")) return true;
        return std::ranges::find(schema["enum"], value) != schema["enum"].end();
    }

    static bool is_less(const Json& value, const Json& schema) {
        return value.is_number() && schema.contains("minimum") && value < schema["minimum"];
    }

    std::string wrong_with_array(const Json& array, const Json& items,
                                 const std::string& place) const {
        std::string wrong;
        for (std::size_t i = 0; i < array.size() && wrong.empty(); ++i)
            wrong = wrong_with(array[i], items, place + "/" + std::to_string(i));
        return wrong;
    }

    std::string wrong_with_object(const Json& object, const Json& schema,
                                  const std::string& place) const {
        for (const Json& name : schema.value("required", Json::array())) {
            if (!object.contains(name.get<std::string>())) return place + ": lacks " + name.dump();
        }
        std::string wrong;
        for (const auto& [name, value] : object.items()) {
            if (wrong.empty()) wrong = wrong_with_field(name, value, schema, place + "/" + name);
        }
        return wrong;
    }

    std::string wrong_with_field(const std::string& name, const Json& value, const Json& schema,
                                 const std::string& place) const {
        const bool has_list = schema.contains("properties");
        const Json others = schema.value("additionalProperties", Json(!has_list));
        if (has_list && schema["properties"].contains(name)) {
            return wrong_with(value, schema["properties"][name], place);
        }
        if (others.is_object()) return wrong_with(value, others, place);
        return others.get<bool>() ? "" : place + ": is not described";
    }

    const Json& document_;
};

}  // namespace jamsock::test
