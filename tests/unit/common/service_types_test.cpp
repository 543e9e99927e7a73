#include "common/service_types.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

ServiceName named(const char* text) {
    return ServiceName::parse(text).value();
}

ReadySign sign(ReadySign::Kind kind, const char* text) {
    return ReadySign::parse(kind, text, "").value();
}

std::string refused(std::string_view json) {
    const auto request = ServiceCreateRequest::from_json(json);
    REQUIRE_FALSE(request);
    CHECK(request.error().code == ErrorCode::invalid_request);
    return request.error().message;
}

}  // namespace

TEST_CASE("a service's definition comes back from its JSON as it went in") {
    const ServiceCreateRequest in{
        named("editor/staging"),
        {.command = Command{{"/usr/bin/node", "a b"}, "/srv"},
         .base_environment = {{"PATH", "/bin"}},
         .env = {{"A", "1"}},
         .limits = {.max_idle = 0, .lifetime = 9, .grace = 1, .startup = 2},
         .readiness = {.sign = sign(ReadySign::Kind::path, "/health?a=b"),
                       .listen_fd = false,
                       .port_owner = PortRule::any},
         .allow_origins = OriginRule::strict}};
    const auto out = ServiceCreateRequest::from_json(in.to_json());
    REQUIRE(out);
    CHECK(out->name == in.name);
    CHECK(out->definition == in.definition);
}

TEST_CASE("a name alone makes a service") {
    const auto request = ServiceCreateRequest::from_json(R"({"name":"editor"})");
    REQUIRE(request);
    CHECK(request->name == named("editor"));
    CHECK(request->definition == ServiceDefinition{});
}

TEST_CASE("what a definition can't be is refused by the field's name") {
    CHECK(refused(R"({})").find("'name'") != std::string::npos);
    CHECK(refused(R"({"name":""})").find("'name'") != std::string::npos);
    CHECK(refused(R"({"name":"a/b/c"})").find("'b/c'") != std::string::npos);
    CHECK(refused(R"({"name":"x","command":"node"})").find("'command'") != std::string::npos);
    CHECK(refused(R"({"name":"x","command":[]})").find("'command'") != std::string::npos);
    CHECK(refused(R"({"name":"x","cwd":"/"})").find("'cwd'") != std::string::npos);
    CHECK(refused(R"({"name":"x","base_env":{}})").find("'base_env'") != std::string::npos);
    CHECK(refused(R"({"name":"x","command":["/a"],"cwd":"/\u0000"})").find("'cwd'") !=
          std::string::npos);
    CHECK(refused(R"({"name":"x/"})").find("'x/'") != std::string::npos);
    CHECK(refused(R"({"name":"x","env":{"A":null}})").find("'env'") != std::string::npos);
    CHECK(refused(R"({"name":"x","env":{"A=":"1"}})").find("'env'") != std::string::npos);
    CHECK(refused(R"({"name":"x","grace_seconds":86401})").find("0 to 86400") != std::string::npos);
    CHECK(refused(R"({"name":"x","startup_limit_seconds":0})").find("1 to 3600") !=
          std::string::npos);
    CHECK(refused(R"({"name":"x","max_idle_seconds":"5"})").find("'max_idle_seconds'") !=
          std::string::npos);
    CHECK(refused(R"({"name":"x","max_idle":5})").find("no 'max_idle'") != std::string::npos);
    CHECK(refused(R"({"name":"x","ready_log":"a{2,1}"})") ==
          "The field 'ready_log' is not a regular expression: 'a{2,1}': invalid repetition size: "
          "'{2,1}'.");
    CHECK(refused(R"({"name":"x","ready_log":"a","ready_exec":"b"})")
              .find("'ready_exec' must be left out where there is a 'ready_log'") !=
          std::string::npos);
    CHECK(refused(R"({"name":"x","ready_path":"/a\u0000"})").find("U+0000") != std::string::npos);
    CHECK(refused(R"({"name":"x","ready_path":"//ü"})").find("at byte 3") != std::string::npos);
    CHECK(refused(R"({"name":"x","ready_exec":1})").find("'ready_exec'") != std::string::npos);
    CHECK(refused(R"({"name":"x","port_owner":"root"})").find("'port_owner'") != std::string::npos);
    CHECK(refused(R"({"name":"x","allow_origins":"none"})")
              .find("'allow_origins' must be 'any' or 'strict'") != std::string::npos);
    CHECK(refused(R"({"name":"x","allow_origins":["any"]})").find("'allow_origins'") !=
          std::string::npos);
    CHECK(refused(R"({"name":"x","listen_fd":3})").find("'listen_fd'") != std::string::npos);
}

TEST_CASE("a new sign of readiness takes the place of another; null takes back the one it names") {
    const auto changed = [](const ReadinessRule& before, const char* json) {
        const auto change = ServiceUpdateRequest::from_json(json).value();
        CHECK_FALSE(change.is_empty());
        const auto sent = ServiceUpdateRequest::from_json(change.to_json()).value();
        const auto after = change.applied_to({.readiness = before});
        CHECK(sent.applied_to({.readiness = before}) == after);
        return after.readiness;
    };
    const ReadinessRule log{.sign = sign(ReadySign::Kind::log, "up")};
    CHECK(changed(log, R"({"ready_path":"/"})").sign == sign(ReadySign::Kind::path, "/"));
    CHECK(changed(log, R"({"ready_path":"/","ready_log":null})").sign ==
          sign(ReadySign::Kind::path, "/"));
    CHECK(changed(log, R"({"ready_path":null})") == log);
    CHECK(changed(log, R"({"ready_log":null})") == ReadinessRule{});
    CHECK(changed(log, R"({"listen_fd":true})").listen_fd == true);
    CHECK(changed({.listen_fd = true}, R"({"listen_fd":null})") == ReadinessRule{});
    CHECK(changed({}, R"({"port_owner":"any"})").takes_any_owner());
    CHECK(changed({.port_owner = PortRule::any}, R"({"port_owner":null})") == ReadinessRule{});
}

TEST_CASE("whose pages may upgrade is set, inherited, changed and taken back") {
    const auto changed = [](const ServiceDefinition& before, const char* json) {
        const auto change = ServiceUpdateRequest::from_json(json).value();
        CHECK_FALSE(change.is_empty());
        CHECK(ServiceUpdateRequest::from_json(change.to_json()).value().to_json() == json);
        return change.applied_to(before).allow_origins;
    };
    const ServiceDefinition strict{.allow_origins = OriginRule::strict};
    const ServiceDefinition any{.allow_origins = OriginRule::any};
    CHECK(ServiceDefinition{}.over(strict) == strict);
    CHECK(any.over(strict) == any);
    CHECK(changed({}, R"({"allow_origins":"strict"})") == OriginRule::strict);
    CHECK(changed(strict, R"({"allow_origins":"any"})") == OriginRule::any);
    CHECK(changed(strict, R"({"allow_origins":null})") == std::nullopt);
    CHECK(changed(strict, R"({"env":{"A":"1"}})") == OriginRule::strict);
}

TEST_CASE("an environment inherits what shows that its backends are ready, and may replace it") {
    const ServiceDefinition service{
        .readiness = {.sign = sign(ReadySign::Kind::exec, "true"), .listen_fd = true}};
    const ServiceDefinition plain = ServiceDefinition{}.over(service);
    CHECK(plain.readiness == service.readiness);
    const ServiceDefinition own{
        .readiness = {.sign = sign(ReadySign::Kind::path, "/up"), .listen_fd = false}};
    CHECK(own.over(service).readiness == own.readiness);
}

TEST_CASE("an update changes what it names, and null takes back") {
    const ServiceDefinition before{.command = Command{{"/bin/a"}, "/"},
                                   .env = {{"A", "1"}, {"B", "2"}},
                                   .limits = {.max_idle = 5, .grace = 6}};
    const auto change = ServiceUpdateRequest::from_json(
        R"({"env":{"A":null,"C":"3"},"max_idle_seconds":null,"startup_limit_seconds":7})");
    REQUIRE(change);
    const auto sent = ServiceUpdateRequest::from_json(change->to_json());
    REQUIRE(sent);
    for (const auto& request : {*change, *sent}) {
        const ServiceDefinition after = request.applied_to(before);
        CHECK(after.command == before.command);
        CHECK(after.env == EnvironmentMap{{"B", "2"}, {"C", "3"}});
        CHECK(after.limits == Limits{.grace = 6, .startup = 7});
    }
    CHECK_FALSE(ServiceUpdateRequest::from_json(R"({"name":"other"})"));
    CHECK_FALSE(ServiceUpdateRequest::from_json(R"({"env":null})"));
    CHECK(ServiceUpdateRequest::from_json("{}")->is_empty());
    const auto without_command = ServiceUpdateRequest::from_json(R"({"command":null})").value();
    CHECK_FALSE(without_command.is_empty());
    CHECK_FALSE(without_command.applied_to(before).command);
    CHECK(without_command.to_json() == R"({"command":null})");
    CHECK(ServiceUpdateRequest::from_json(R"({"image_tag":"latest"})").error().code ==
          ErrorCode::unsupported);
}

TEST_CASE("a service's answer has what Jamsocket's clients read, and nothing null") {
    const ServiceInfo info{
        .account = "local",
        .name = "editor",
        .environments = {{.name = "default", .definition = {}, .created_at = 1000},
                         {.name = "staging", .definition = {}, .last_spawned_at = 5000}}};
    const std::string json = info.to_json();
    for (const char* part : {R"("name":"editor")", R"("account_name":"local")",
                             R"("created_at":"1970-01-01T00:00:01.000Z")",
                             R"("last_spawned_at":"1970-01-01T00:00:05.000Z")", R"("image_name":)",
                             R"("image_tag":)", R"("cluster":"local")"}) {
        CAPTURE(part);
        CHECK(json.find(part) != std::string::npos);
    }
    CHECK(json.find("null") == std::string::npos);
    const auto back = ServiceInfo::from_json(json);
    REQUIRE(back);
    CHECK(back->environments.size() == 2);
    CHECK(back->environments[1].last_spawned_at == 5000);
}

TEST_CASE("limits are taken from the nearest that sets them, else the defaults") {
    const Limits request{.lifetime = 1};
    const Limits service{.max_idle = 2, .lifetime = 3};
    const LifeLimits limits(request.over(service));
    CHECK(limits.max_idle == std::chrono::seconds(2));
    CHECK(limits.lifetime == std::chrono::seconds(1));
    CHECK(limits.grace == std::chrono::seconds(10));
    CHECK(limits.startup == std::chrono::seconds(30));
    CHECK(LifeLimits(limits.as_set()) == limits);
}
