#include "daemon/api/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "daemon/http/ascii.h"
#include "openapi_schemas.h"

namespace jamsock {

namespace {

using Json = nlohmann::ordered_json;

Json reference(std::string_view kind, std::string_view name) {
    return {{"$ref", "#/components/" + std::string(kind) + "/" + std::string(name)}};
}

Json json_content(std::string_view schema) {
    return {{"application/json", {{"schema", reference("schemas", schema)}}}};
}

// Those of the path in its order, then the others.
Json parameters_of(const Endpoint& endpoint) {
    Json parameters = Json::array();
    std::string_view rest = endpoint.pattern;
    for (auto at = rest.find('{'); at != std::string_view::npos; at = rest.find('{')) {
        const auto end = rest.find('}', at);
        parameters.push_back(reference("parameters", rest.substr(at + 1, end - at - 1)));
        rest.remove_prefix(end);
    }
    for (const std::string_view name : endpoint.shapes.parameters)
        parameters.push_back(reference("parameters", name));
    return parameters;
}

// A body may be left out where its schema requires nothing.
Json request_body(std::string_view schema, const Json& components) {
    const bool is_required = components["schemas"][std::string(schema)].contains("required");
    return {{"required", is_required}, {"content", json_content(schema)}};
}

Json responses(const Shapes& shapes, const Json& components) {
    Json all = Json::object();
    if (components["responses"].contains(std::string(shapes.answer))) {
        all["200"] = reference("responses", shapes.answer);
    } else if (!shapes.answer.empty()) {
        all["200"] = {{"description", "Done."}, {"content", json_content(shapes.answer)}};
    }
    if (!shapes.see_other.empty()) all["303"] = reference("responses", shapes.see_other);
    all["default"] = reference("responses", "Error");
    return all;
}

Json operation(const Endpoint& endpoint, const Json& components) {
    Json described{{"summary", endpoint.summary}};
    if (endpoint.access != Access::token) described["security"] = Json::array();
    Json parameters = parameters_of(endpoint);
    if (!parameters.empty()) described["parameters"] = std::move(parameters);
    if (!endpoint.shapes.request.empty()) {
        described["requestBody"] = request_body(endpoint.shapes.request, components);
    }
    described["responses"] = responses(endpoint.shapes, components);
    return described;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), to_lower);
    return lower;
}

Json head() {
    Json document{{"openapi", "3.1.0"}};
    document["info"] = {{"title", "jamsock"},
                        {"version", "2"},
                        {"description",
                         "Jamsocket's HTTP API, version 2 and the calls of version "
                         "1, as jamsockd answers it."},
                        {"license", {{"name", "MIT"}, {"identifier", "MIT"}}}};
    const Json port{{"default", "8080"}, {"description", "'jamsock daemon status' tells it."}};
    const Json server{{"url", "http://127.0.0.1:{port}"}, {"variables", {{"port", port}}}};
    document["servers"] = Json::array({server});
    document["security"] = Json::array({Json{{"bearer", Json::array()}}});
    return document;
}

}  // namespace

std::string openapi_json(std::span<const Endpoint> endpoints) {
    constexpr int indentation = 2;
    Json components = Json::parse(openapi_components);
    Json document = head();
    Json& paths = document["paths"] = Json::object();
    for (const Endpoint& endpoint : endpoints) {
        Json described = operation(endpoint, components);
        paths[std::string(endpoint.pattern)][lower_case(endpoint.method)] = std::move(described);
    }
    document["components"] = std::move(components);
    return document.dump(indentation) + '\n';
}

}  // namespace jamsock
