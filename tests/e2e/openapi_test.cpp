// The API's description against a running daemon: every call that it has is made, and what is
// answered is what it says.
#include <doctest/doctest.h>
#include <httplib.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/service_types.h"
#include "tests/support/event_stream.h"
#include "tests/support/json_schema.h"

using namespace jamsock;
using namespace jamsock::test;
using Json = nlohmann::json;

namespace {

const char* const connect_path = "/v2/service/{account}/{service}/connect";

// Makes calls by their paths in the description.
class Caller {
  public:
    explicit Caller(const Home& home)
        : home_(home), document_(Json::parse(home.get("/openapi.json").body)) {}

    void post(const std::string& path, const Json& body, const std::string& query = "");
    void get(const std::string& path);
    void get_all();
    // As a browser does, of a backend that is ready.
    void follow_ready_page() const;
    // Over TCP and without the token.
    void ask_as_nobody();
    // "post /auth"; so many as the description has.
    std::set<std::string> described() const;
    const std::set<std::string>& made() const { return made_; }

  private:
    std::string target(std::string path) const;
    std::string required_query(const Json& operation) const;
    const Json& response_of(const Json& operation) const;
    void check_answer(const Json& operation, const httplib::Result& result) const;
    void check_error(const std::string& body) const;
    void check_event(const std::string& path, const Json& content) const;
    void remember(const Json& answer);

    const Home& home_;
    const Json document_;
    const JsonSchemas schemas_{document_};
    std::set<std::string> made_;
    std::map<std::string, std::string> parts_{
        {"account", "local"}, {"service", "doc"}, {"environment", "blue"}, {"key", "k"}};
};

void Caller::post(const std::string& path, const Json& body, const std::string& query) {
    CAPTURE(path);
    const Json& operation = document_.at("paths").at(path).at("post");
    if (operation.contains("requestBody")) {
        const Json& content = operation["requestBody"]["content"]["application/json"];
        CHECK(schemas_.wrong_with(body, content["schema"]) == "");
    }
    const auto result = home_.client()->Post(target(path) + query, body.dump(), "application/json");
    check_answer(operation, result);
    remember(Json::parse(result->body));
    made_.insert("post " + path);
}

void Caller::get(const std::string& path) {
    CAPTURE(path);
    const Json& operation = document_["paths"][path]["get"];
    const Json& content = response_of(operation)["content"];
    if (content.contains("text/event-stream")) {
        check_event(path, content["text/event-stream"]);
    } else {
        const httplib::Headers json{{"Accept", "application/json"}};
        check_answer(operation,
                     home_.client()->Get(target(path) + required_query(operation), json));
    }
    made_.insert("get " + path);
}

void Caller::get_all() {
    for (const auto& [path, operations] : document_["paths"].items()) {
        if (operations.contains("get")) get(path);
    }
}

void Caller::follow_ready_page() const {
    const std::string path = "/ready/{id}/{token}/";
    const auto result = home_.client()->Get(target(path), {{"Accept", "text/html"}});
    REQUIRE(result);
    CHECK(result->status == 303);
    const Json& described =
        schemas_.resolved(document_["paths"][path]["get"]["responses"].at("303"));
    for (const auto& [name, header] : described["headers"].items())
        CHECK(result->has_header(name));
}

void Caller::ask_as_nobody() {
    httplib::Client client("127.0.0.1", home_.version()->api_port);
    for (const std::string& call : described()) {
        CAPTURE(call);
        const std::string path = call.substr(call.find(' ') + 1);
        const bool is_post = call.starts_with("post");
        const Json& operation = document_["paths"][path][is_post ? "post" : "get"];
        const auto result = is_post ? client.Post(target(path)) : client.Get(target(path));
        REQUIRE(result);
        const bool is_public = operation.contains("security");
        CHECK((result->status != 401) == is_public);
        if (result->status >= 400) check_error(result->body);
    }
}

std::set<std::string> Caller::described() const {
    std::set<std::string> calls;
    for (const auto& [path, operations] : document_["paths"].items()) {
        for (const auto& [method, operation] : operations.items())
            calls.insert(method + " " + path);
    }
    return calls;
}

std::string Caller::target(std::string path) const {
    for (auto at = path.find('{'); at != std::string::npos; at = path.find('{')) {
        const auto end = path.find('}', at);
        path.replace(at, end + 1 - at, parts_.at(path.substr(at + 1, end - at - 1)));
    }
    return path;
}

// "?key=k"
std::string Caller::required_query(const Json& operation) const {
    std::string query;
    for (const Json& reference : operation.value("parameters", Json::array())) {
        const Json& parameter = schemas_.resolved(reference);
        if (parameter["in"] != "query" || !parameter.value("required", false)) continue;
        const std::string name = parameter["name"];
        query += (query.empty() ? "?" : "&") + name + "=" + parts_.at(name);
    }
    return query;
}

const Json& Caller::response_of(const Json& operation) const {
    const Json& responses = operation["responses"];
    return schemas_.resolved(responses.contains("200") ? responses["200"] : responses["default"]);
}

void Caller::check_answer(const Json& operation, const httplib::Result& result) const {
    REQUIRE(result);
    CAPTURE(result->body);
    CHECK((result->status == 200) == operation["responses"].contains("200"));
    const std::string type = result->get_header_value("Content-Type");
    const std::string media = type.substr(0, type.find(';'));
    const Json& content = response_of(operation)["content"];
    REQUIRE(content.contains(media));
    if (media != "application/json") return;
    CHECK(schemas_.wrong_with(Json::parse(result->body), content[media]["schema"]) == "");
}

void Caller::check_error(const std::string& body) const {
    CHECK(schemas_.wrong_with(Json::parse(body), document_["components"]["schemas"]["Error"]) ==
          "");
}

void Caller::check_event(const std::string& path, const Json& content) const {
    EventStream stream(home_, target(path));
    CHECK(stream.head().find("Content-Type: text/event-stream\r\n") != std::string::npos);
    const auto event = stream.next();
    REQUIRE(event);
    if (!content.contains("x-event-data")) return;
    CHECK(schemas_.wrong_with(Json::parse(*event), content["x-event-data"]) == "");
}

// The next calls are about the backend that a connect has given.
void Caller::remember(const Json& answer) {
    for (const char* field : {"backend_id", "name"}) {
        if (answer.contains(field)) parts_["id"] = answer[field];
    }
    if (answer.contains("token")) parts_["token"] = answer["token"];
}

// With an environment, and a backend of each kind of call; the last one lives.
void fill(Caller& caller) {
    const Json program{test_backend(), "--log-requests"};
    const char* const create = "/v2/account/{account}/service";
    caller.post(create,
                {{"name", "doc"}, {"command", program}, {"cwd", "/"}, {"env", {{"A", "1"}}}});
    caller.post(create, {{"name", "doc/blue"}, {"max_idle_seconds", 100}});
    caller.post("/v2/service/{account}/{service}/update",
                {{"env", {{"A", nullptr}}}, {"grace_seconds", 5}});
    caller.post("/v2/service/{account}/{service}/{environment}/update",
                {{"max_idle_seconds", nullptr}});
    caller.post("/v2/service/{account}/{service}/{environment}/connect", Json::object());
    caller.post("/user/{account}/service/{service}/spawn", {{"service_environment", "blue"}});
    caller.post("/v1/user/{account}/service/{service}/spawn", {{"lock", "l"}});
    caller.post("/backend/{id}/terminate", Json::object());
    caller.post(connect_path,
                {{"key", "k"}, {"user", "ann"}, {"spawn", {{"lifetime_limit_seconds", 1000}}}},
                "?wait=ready");
}

void clear(Caller& caller) {
    caller.post("/v2/backend/{id}/revoke", {{"user", "ann"}});
    caller.post("/v2/backend/{id}/terminate", {{"hard", true}}, "?wait=terminated");
    caller.post("/service/{account}/{service}/terminate-backends",
                {{"before", "2999-01-01T00:00:00Z"}, {"hard", true}});
    caller.post("/v2/service/{account}/{service}/{environment}/delete", {{"force", true}});
    caller.post("/v2/service/{account}/{service}/delete", {{"force", true}});
}

}  // namespace

TEST_CASE("the daemon answers every call of the API's description as it says") {
    const Home home;
    home.output_of({"daemon", "start"});
    Caller caller(home);
    fill(caller);
    caller.get_all();
    caller.follow_ready_page();
    clear(caller);
    for (const char* path : {"/v2/backend/{id}", "/v2/backend/{id}/status", "/backend/{id}/status"})
        caller.get(path);
    CHECK(caller.made() == caller.described());
    caller.ask_as_nobody();
}
