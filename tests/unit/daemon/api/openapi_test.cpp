// The API's description against the types whose JSON it describes: both ways, all fields.
#include "daemon/api/openapi.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "common/service_types.h"
#include "common/v1_types.h"
#include "tests/support/json_schema.h"

using namespace jamsock;
using namespace jamsock::test;
using Json = nlohmann::json;

namespace {

const Json& document() {
    static const std::vector<Endpoint> endpoints{
        {"POST", "/a/{account}/b", {}, "makes one", {"RevokeRequest", "KeyList", {"limit"}}},
        {"POST", "/c/{id}", {}, "takes one", {"ServiceCreateRequest", "Ok"}, Access::anyone},
        {"GET",
         "/c/{id}",
         {},
         "gives one",
         {.answer = "LogStream", .see_other = "ReadyUrl"},
         Access::any_page},
    };
    static const Json parsed = Json::parse(openapi_json(endpoints));
    return parsed;
}

const Json& schema(const char* name) {
    return document()["components"]["schemas"][name];
}

std::string wrong_with(const std::string& json, const char* name) {
    return JsonSchemas(document()).wrong_with(Json::parse(json), schema(name));
}

// Names in `properties` that `object` has no field of; for an object with all fields set.
std::string unused(const Json& object, const Json& schema, std::string_view but = "") {
    std::string names;
    for (const auto& [name, described] : schema["properties"].items()) {
        if (!object.contains(name) && name != but) names += name + " ";
    }
    return names;
}

std::string unused(const std::string& json, const char* name, std::string_view but = "") {
    return unused(Json::parse(json), schema(name), but);
}

BackendId some_id() {
    return BackendId::parse("abc12").value();
}

ServiceDefinition whole_definition() {
    return {.command = Command{{"/bin/true"}, "/"},
            .base_environment = {{"PATH", "/bin"}},
            .env = {{"A", "b"}},
            .limits = {.max_idle = 0, .lifetime = 1, .grace = 0, .startup = 1},
            .readiness = {.sign = ReadySign::parse(ReadySign::Kind::path, "/up", "it").value(),
                          .listen_fd = true,
                          .port_owner = PortRule::tree},
            .allow_origins = OriginRule::strict};
}

}  // namespace

TEST_CASE("a row of the table becomes an operation") {
    const Json& posted = document()["paths"]["/a/{account}/b"]["post"];
    CHECK(posted["summary"] == "makes one");
    CHECK_FALSE(posted.contains("security"));
    CHECK(posted["parameters"] == Json::parse(R"([{"$ref":"#/components/parameters/account"},
                                                  {"$ref":"#/components/parameters/limit"}])"));
    CHECK(posted["requestBody"] == Json::parse(R"({"required":false,"content":{"application/json":{
                          "schema":{"$ref":"#/components/schemas/RevokeRequest"}}}})"));
    CHECK(posted["responses"]["200"]["content"]["application/json"]["schema"]["$ref"] ==
          "#/components/schemas/KeyList");
    CHECK(posted["responses"]["default"]["$ref"] == "#/components/responses/Error");
}

TEST_CASE("methods of one path are told together, and what is public needs no token") {
    const Json& path = document()["paths"]["/c/{id}"];
    CHECK(document()["security"] == Json::parse(R"([{"bearer":[]}])"));
    CHECK(path["post"]["security"] == Json::array());
    CHECK(path["post"]["requestBody"]["required"] == true);
    CHECK(path["get"]["responses"]["200"]["$ref"] == "#/components/responses/LogStream");
    CHECK(path["get"]["responses"]["303"]["$ref"] == "#/components/responses/ReadyUrl");
    CHECK_FALSE(path["post"]["responses"].contains("303"));
    CHECK_FALSE(path["get"].contains("requestBody"));
}

TEST_CASE("a connect is described with all its fields") {
    const ConnectRequest request{
        .key = Key::parse("k").value(),
        .tag = "t",
        .limits = {.max_idle = 0, .lifetime = 1},
        .resources = {.cpu_time = 1, .memory = 1, .cpu_period = 1000, .cpu_percent = 100},
        .mount = Mount::own(),
        .env = {{"A", "b"}},
        .command = Command{{"/bin/true"}, "/"},
        .base_environment = EnvironmentMap{{"PATH", "/bin"}},
        .user = "ann",
        .auth = R"({"any":["thing"]})"};
    CHECK(wrong_with(request.to_json(), "ConnectRequest") == "");
    CHECK(unused(request.to_json(), "ConnectRequest") == "");
    const Json spawn = Json::parse(request.to_json())["spawn"];
    const Json& described = schema("ConnectRequest")["properties"]["spawn"];
    CHECK(unused(spawn, described, "cluster") == "");
    CHECK(unused(spawn["executable"], described["properties"]["executable"]) == "");
    CHECK(unused(spawn["executable"]["resource_limits"],
                 described["properties"]["executable"]["properties"]["resource_limits"],
                 "disk_limit_bytes") == "");
    CHECK(wrong_with(R"({"key":"k","spawn":false})", "ConnectRequest") == "");

    const ConnectResponse response{.backend_id = some_id()};
    CHECK(wrong_with(response.to_json(), "ConnectResponse") == "");
    CHECK(unused(response.to_json(), "ConnectResponse") == "");
}

TEST_CASE("a backend is described with all its fields") {
    const StatusChange end{.status = Status::terminated,
                           .reason = TerminationReason::swept,
                           .kind = TerminationKind::hard,
                           .exit = ProcessExit{std::nullopt, 9},
                           .cause = EndCause::lifetime,
                           .diagnosis = "Its time was up."};
    const BackendInfo info{.id = some_id(),
                           .key = Key::parse("k").value(),
                           .statuses = {{}, end},
                           .command = {{"/bin/true"}, "/"},
                           .pid = 7,
                           .expires_at = 1,
                           .note = "stopped",
                           .dropped_log_bytes = 1};
    CHECK(wrong_with(info.to_json(), "BackendInfo") == "");
    CHECK(unused(info.to_json(), "BackendInfo") == "");
    CHECK(unused(Json::parse(info.to_json())["statuses"][1], schema("StatusChange")) == "");
    const std::string told = public_status_json(end).value();
    CHECK(wrong_with(told, "PublicStatus") == "");
    CHECK(unused(told, "PublicStatus") == "");
}

TEST_CASE("lists are described with all their fields") {
    KeyList keys{.keys = {{.key = Key::parse("k").value(),
                           .backend_id = some_id(),
                           .memory_used = 4096}},
                 .next_cursor = "c"};
    CHECK(wrong_with(keys.to_json(), "KeyList") == "");
    CHECK(unused(keys.to_json(), "KeyList") == "");
    CHECK(unused(Json::parse(keys.to_json())["keys"][0], schema("KeyEntry")) == "");
    const RunningBackends running{{{.id = some_id(), .key = Key::parse("k").value()}}};
    CHECK(wrong_with(running.to_json(), "RunningBackends") == "");
    CHECK(unused(Json::parse(running.to_json())["running_backends"][0], schema("RunningBackend")) ==
          "");
}

TEST_CASE("events and a key's history are described with all their fields") {
    const StatusChange end{.status = Status::terminated,
                           .reason = TerminationReason::swept,
                           .kind = TerminationKind::soft,
                           .exit = ProcessExit{std::nullopt, 15},
                           .cause = EndCause::idle,
                           .diagnosis = "Nobody used it."};
    const EventList events{
        {{.backend_id = some_id(), .key = Key::parse("k").value(), .change = end}}};
    CHECK(wrong_with(events.to_json(), "EventList") == "");
    CHECK(unused(events.to_json(), "EventList") == "");
    CHECK(unused(events.events[0].to_json(), "StatusEvent") == "");
    const KeyHistory history{
        {{.id = some_id(), .key = Key::parse("k").value(), .ready_at = 1, .status = end}}};
    CHECK(wrong_with(history.to_json(), "KeyHistory") == "");
    CHECK(unused(history.to_json(), "KeyHistory") == "");
    CHECK(unused(Json::parse(history.to_json())["backends"][0], schema("HistoryEntry")) == "");
}

TEST_CASE("a service is described with all its fields") {
    const ServiceDefinition definition = whole_definition();
    const ServiceCreateRequest request{ServiceName::standard(), definition};
    CHECK(wrong_with(request.to_json(), "ServiceCreateRequest") == "");
    CHECK(unused(request.to_json(), "ServiceCreateRequest") == "ready_exec ready_log ");

    const ServiceInfo info{"local", "doc", {{"default", definition, 1, 2}}};
    CHECK(wrong_with(info.to_json(), "ServiceInfo") == "");
    CHECK(unused(info.to_json(), "ServiceInfo") == "");
    CHECK(unused(Json::parse(info.to_json())["environments"][0], schema("EnvironmentInfo")) ==
          "ready_exec ready_log ");

    ServiceUpdateRequest back{.env = {{"A", std::nullopt}}};
    back.command.emplace();
    back.max_idle.emplace();
    back.lifetime.emplace();
    back.grace.emplace();
    back.startup.emplace();
    back.ready_log.emplace();
    back.ready_path.emplace();
    back.ready_exec.emplace();
    back.listen_fd.emplace();
    back.port_owner.emplace();
    back.allow_origins.emplace();
    CHECK(wrong_with(back.to_json(), "ServiceUpdateRequest") == "");
    CHECK(unused(back.to_json(), "ServiceUpdateRequest") == "base_env cwd ");
}

TEST_CASE("the words of statuses, states and errors are all described") {
    Json statuses, states, codes, causes;
    for (int i = 0; i <= static_cast<int>(Status::terminated); ++i)
        statuses.push_back(word(static_cast<Status>(i)));
    for (int i = 0; i <= static_cast<int>(V1State::failed); ++i)
        states.push_back(word(static_cast<V1State>(i)));
    for (int i = 0; i <= static_cast<int>(ErrorCode::timed_out); ++i)
        codes.push_back(info(static_cast<ErrorCode>(i)).name);
    for (int i = 0; i <= static_cast<int>(EndCause::out_of_memory); ++i)
        causes.push_back(word(static_cast<EndCause>(i)));
    CHECK(schema("Status")["enum"] == statuses);
    CHECK(schema("EndCause")["enum"] == causes);
    CHECK(schema("V1State")["enum"] == states);
    CHECK(schema("Error")["properties"]["error"]["properties"]["code"]["enum"] == codes);

    const std::string failed =
        error_json({ErrorCode::conflict, "No.", "jamsock list", {"a line"}}, "id");
    CHECK(wrong_with(failed, "Error") == "");
    CHECK(unused(Json::parse(failed)["error"], schema("Error")["properties"]["error"]) == "");
}

TEST_CASE("a value that a schema does not describe is found") {
    CHECK(wrong_with("{}", "KeyList") == ": lacks \"keys\"");
    CHECK(wrong_with(R"({"keys":[],"more":1})", "KeyList") == "/more: is not described");
    CHECK(wrong_with(R"({"keys":null})", "KeyList").starts_with("/keys: null is not "));
    CHECK(wrong_with(R"({"status":"fine"})", "Ok").starts_with("/status: \"fine\" is not "));
    CHECK(wrong_with(R"({"env":{"A":1}})", "V1SpawnRequest").starts_with("/env/A: 1 is not "));
}
