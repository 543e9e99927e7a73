#include "common/service_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/clock.h"
#include "common/json_fields.h"

namespace jamsock {

namespace {

using namespace json;

struct LimitField {
    const char* name;
    LimitRange range;
    std::optional<std::int64_t> Limits::*limit;
    ServiceUpdateRequest::Change<std::int64_t> ServiceUpdateRequest::*change;
};

constexpr std::array limit_fields{
    LimitField{"max_idle_seconds", limit_range::max_idle, &Limits::max_idle,
               &ServiceUpdateRequest::max_idle},
    LimitField{"lifetime_limit_seconds", limit_range::lifetime, &Limits::lifetime,
               &ServiceUpdateRequest::lifetime},
    LimitField{"grace_seconds", limit_range::grace, &Limits::grace, &ServiceUpdateRequest::grace},
    LimitField{"startup_limit_seconds", limit_range::startup, &Limits::startup,
               &ServiceUpdateRequest::startup},
};

struct SignField {
    const char* name;
    ReadySign::Kind kind;
    ServiceUpdateRequest::Change<ReadySign> ServiceUpdateRequest::*change;
};

constexpr std::array sign_fields{
    SignField{"ready_log", ReadySign::Kind::log, &ServiceUpdateRequest::ready_log},
    SignField{"ready_path", ReadySign::Kind::path, &ServiceUpdateRequest::ready_path},
    SignField{"ready_exec", ReadySign::Kind::exec, &ServiceUpdateRequest::ready_exec},
};

std::optional<Command> command_in(const Json& object) {
    const Json* argv = find(object, "command");
    const auto cwd = plain_text(object, "cwd", "cwd");
    for (const char* companion : {"cwd", "base_env"}) {
        if (!argv && find(object, companion))
            bad_field(companion, "given together with a 'command'");
    }
    if (!argv) return std::nullopt;
    Command command{strings(*argv, "command"), cwd.value_or("")};
    if (command.argv.empty()) bad_field("command", "not empty");
    return command;
}

EnvironmentMap variables_in(const Json& object, const char* field) {
    const Json* value = find(object, field);
    return value ? variables(*value, field) : EnvironmentMap{};
}

// Each would be a sign of its own; which one counts could not be told.
void refuse_two_signs(const Json& object) {
    const char* first = nullptr;
    for (const SignField& field : sign_fields) {
        if (!find(object, field.name)) continue;
        if (first) bad_field(field.name, fmt::format("left out where there is a '{}'", first));
        first = field.name;
    }
}

std::optional<ReadySign> sign_in(const Json& object, const SignField& field) {
    auto given = text(object, field.name);
    if (!given) return std::nullopt;
    return value_of(
        ReadySign::parse(field.kind, std::move(*given), fmt::format("The field '{}'", field.name)));
}

std::optional<PortRule> port_owner_in(const Json& object) {
    const auto given = text(object, "port_owner");
    if (!given) return std::nullopt;
    const auto rule = port_rule_from_word(*given);
    if (!rule) bad_field("port_owner", "'tree' or 'any'");
    return rule;
}

std::optional<OriginRule> allow_origins_in(const Json& object) {
    const auto given = text(object, "allow_origins");
    if (!given) return std::nullopt;
    const auto rule = origin_rule_from_word(*given);
    if (!rule) bad_field("allow_origins", "'any' or 'strict'");
    return rule;
}

ReadinessRule readiness_in(const Json& object) {
    refuse_two_signs(object);
    ReadinessRule rule{.listen_fd = boolean(object, "listen_fd"),
                       .port_owner = port_owner_in(object)};
    for (const SignField& field : sign_fields) {
        if (auto sign = sign_in(object, field)) rule.sign = std::move(sign);
    }
    return rule;
}

ServiceDefinition definition_in(const Json& object) {
    ServiceDefinition definition{.command = command_in(object),
                                 .base_environment = variables_in(object, "base_env"),
                                 .env = variables_in(object, "env"),
                                 .readiness = readiness_in(object),
                                 .allow_origins = allow_origins_in(object)};
    for (const LimitField& field : limit_fields) {
        definition.limits.*field.limit =
            number_between(object, field.name, field.range.least, field.range.most);
    }
    return definition;
}

void add_command(Json& json, const std::optional<Command>& command,
                 const EnvironmentMap& base_environment) {
    if (!command) return;
    json["command"] = command->argv;
    json["cwd"] = command->cwd;
    if (!base_environment.empty()) json["base_env"] = base_environment;
}

void add_readiness(Json& json, const ReadinessRule& rule) {
    for (const SignField& field : sign_fields) {
        if (rule.sign && rule.sign->kind() == field.kind) json[field.name] = rule.sign->text();
    }
    if (rule.listen_fd) json["listen_fd"] = *rule.listen_fd;
    if (rule.port_owner) json["port_owner"] = word(*rule.port_owner);
}

void add_definition(Json& json, const ServiceDefinition& definition) {
    add_command(json, definition.command, definition.base_environment);
    if (!definition.env.empty()) json["env"] = definition.env;
    for (const LimitField& field : limit_fields) {
        const auto& limit = definition.limits.*field.limit;
        if (limit) json[field.name] = *limit;
    }
    add_readiness(json, definition.readiness);
    if (definition.allow_origins) json["allow_origins"] = word(*definition.allow_origins);
}

void allow_only_definition(const Json& object) {
    allow_only(object,
               {"name", "command", "cwd", "base_env", "env", "max_idle_seconds",
                "lifetime_limit_seconds", "grace_seconds", "startup_limit_seconds", "ready_log",
                "ready_path", "ready_exec", "listen_fd", "port_owner", "allow_origins"},
               "A service");
}

// Jamsocket's services run images; here they run commands.
void refuse_image(const Json& object) {
    if (!object.contains("image_tag")) return;
    throw BadField{{ErrorCode::unsupported,
                    "A service here runs a command and has no image: give it a 'command'.",
                    "jamsock service update SERVICE -- COMMAND",
                    {}}};
}

void read_env_changes(const Json& env, ServiceUpdateRequest& request) {
    if (!env.is_object()) bad_field("env", "an object of strings and nulls");
    for (const auto& [name, value] : env.items()) {
        if (!value.is_string() && !value.is_null()) {
            bad_field("env", "an object of strings and nulls");
        }
        std::optional<std::string> content;
        if (value.is_string()) content = value.get<std::string>();
        check_variable(name, content.value_or(""), "env");
        request.env.emplace(name, std::move(content));
    }
}

void read_readiness_changes(const Json& object, ServiceUpdateRequest& request) {
    refuse_two_signs(object);
    for (const SignField& field : sign_fields) {
        if (object.contains(field.name)) request.*field.change = sign_in(object, field);
    }
    if (object.contains("listen_fd")) request.listen_fd = boolean(object, "listen_fd");
    if (object.contains("port_owner")) request.port_owner = port_owner_in(object);
}

void add_readiness_changes(Json& json, const ServiceUpdateRequest& request) {
    for (const SignField& field : sign_fields) {
        const auto& change = request.*field.change;
        if (change) json[field.name] = *change ? Json((*change)->text()) : Json();
    }
    if (request.listen_fd) {
        json["listen_fd"] = *request.listen_fd ? Json(**request.listen_fd) : Json();
    }
    if (request.port_owner) {
        json["port_owner"] = *request.port_owner ? Json(word(**request.port_owner)) : Json();
    }
}

void change_readiness(ReadinessRule& rule, const ServiceUpdateRequest& request) {
    for (const SignField& field : sign_fields) {
        const auto& change = request.*field.change;
        const bool taken_back = change && !*change && rule.sign && rule.sign->kind() == field.kind;
        if (taken_back || (change && *change)) rule.sign = *change;
    }
    if (request.listen_fd) rule.listen_fd = *request.listen_fd;
    if (request.port_owner) rule.port_owner = *request.port_owner;
}

EnvironmentInfo environment_in(const Json& object) {
    EnvironmentInfo environment{.name = required_text(object, "name"),
                                .definition = definition_in(object),
                                .created_at = json::time(object, "created_at")};
    if (find(object, "last_spawned_at")) {
        environment.last_spawned_at = json::time(object, "last_spawned_at");
    }
    return environment;
}

Json environment_json(const EnvironmentInfo& environment) {
    Json object{{"name", environment.name},
                {"image_tag", ""},
                {"cluster", "local"},
                {"created_at", iso_time(environment.created_at)}};
    if (environment.last_spawned_at) {
        object["last_spawned_at"] = iso_time(*environment.last_spawned_at);
    }
    add_definition(object, environment.definition);
    return object;
}

}  // namespace

ServiceDefinition ServiceDefinition::over(const ServiceDefinition& base) const {
    ServiceDefinition whole{.command = command ? command : base.command,
                            .base_environment = command ? base_environment : base.base_environment,
                            .env = env,
                            .limits = limits.over(base.limits),
                            .readiness = readiness.over(base.readiness),
                            .allow_origins = allow_origins ? allow_origins : base.allow_origins};
    whole.env.insert(base.env.begin(), base.env.end());
    return whole;
}

Result<ServiceCreateRequest> ServiceCreateRequest::from_json(std::string_view json) {
    return read<ServiceCreateRequest>(json, [](const Json& object) {
        refuse_image(object);
        allow_only_definition(object);
        const std::string name = required_text(object, "name");
        if (name.empty()) bad_field("name", "not empty");
        return ServiceCreateRequest{value_of(ServiceName::parse(name)), definition_in(object)};
    });
}

std::string ServiceCreateRequest::to_json() const {
    Json object{{"name", name.str()}};
    add_definition(object, definition);
    return dump(object);
}

bool ServiceDefinition::names_program() const {
    const bool runs_sign = readiness.sign && readiness.sign->kind() == ReadySign::Kind::exec;
    return command || runs_sign;
}

bool ServiceUpdateRequest::names_program() const {
    return (command && *command) || (ready_exec && *ready_exec);
}

bool ServiceUpdateRequest::is_empty() const {
    const bool has_sign = ready_log || ready_path || ready_exec;
    return !command && env.empty() && !max_idle && !lifetime && !grace && !startup && !has_sign &&
           !listen_fd && !port_owner && !allow_origins;
}

ServiceDefinition ServiceUpdateRequest::applied_to(ServiceDefinition definition) const {
    if (command) {
        definition.command = *command;
        definition.base_environment = base_environment;
    }
    for (const auto& [variable, value] : env) {
        if (value) {
            definition.env.insert_or_assign(variable, *value);
        } else {
            definition.env.erase(variable);
        }
    }
    for (const LimitField& field : limit_fields) {
        const auto& change = this->*field.change;
        if (change) definition.limits.*field.limit = *change;
    }
    change_readiness(definition.readiness, *this);
    if (allow_origins) definition.allow_origins = *allow_origins;
    return definition;
}

Result<ServiceUpdateRequest> ServiceUpdateRequest::from_json(std::string_view json) {
    return read<ServiceUpdateRequest>(json, [](const Json& object) {
        refuse_image(object);
        allow_only_definition(object);
        if (object.contains("name")) bad_field("name", "left out: a service keeps its name");
        ServiceUpdateRequest request{.base_environment = variables_in(object, "base_env")};
        if (auto command = command_in(object)) request.command = std::move(command);
        if (object.contains("command") && !request.command) request.command.emplace();
        if (object.contains("env")) read_env_changes(object["env"], request);
        for (const LimitField& field : limit_fields) {
            if (!object.contains(field.name)) continue;
            request.*field.change =
                number_between(object, field.name, field.range.least, field.range.most);
        }
        read_readiness_changes(object, request);
        if (object.contains("allow_origins")) request.allow_origins = allow_origins_in(object);
        return request;
    });
}

std::string ServiceUpdateRequest::to_json() const {
    Json object = Json::object();
    if (command) add_command(object, *command, base_environment);
    if (command && !*command) object["command"] = nullptr;
    for (const auto& [variable, value] : env)
        object["env"][variable] = value ? Json(*value) : Json();
    for (const LimitField& field : limit_fields) {
        const auto& change = this->*field.change;
        if (change) object[field.name] = *change ? Json(**change) : Json();
    }
    add_readiness_changes(object, *this);
    if (allow_origins) {
        object["allow_origins"] = *allow_origins ? Json(word(**allow_origins)) : Json();
    }
    return dump(object);
}

Result<ServiceDeleteRequest> ServiceDeleteRequest::from_json(std::string_view json) {
    return read<ServiceDeleteRequest>(json, [](const Json& object) {
        allow_only(object, {"force"}, "A deletion");
        return ServiceDeleteRequest{boolean(object, "force").value_or(false)};
    });
}

std::string ServiceDeleteRequest::to_json() const {
    return dump({{"force", force}});
}

Result<ServiceInfo> ServiceInfo::from_json(std::string_view json) {
    return read<ServiceInfo>(json, [](const Json& object) {
        ServiceInfo info{.account = required_text(object, "account_name"),
                         .name = required_text(object, "name")};
        const Json* environments = find(object, "environments");
        if (!environments || !environments->is_array() || environments->empty()) {
            bad_field("environments", "an array of at least one");
        }
        for (const Json& environment : *environments)
            info.environments.push_back(environment_in(environment));
        return info;
    });
}

std::string ServiceInfo::to_json() const {
    Json list = Json::array();
    std::optional<std::int64_t> last_spawned_at;
    for (const EnvironmentInfo& environment : environments) {
        list.push_back(environment_json(environment));
        last_spawned_at = std::max(last_spawned_at, environment.last_spawned_at);
    }
    Json object{{"name", name},
                {"account_name", account},
                {"created_at", iso_time(environments.front().created_at)},
                {"image_name", ""}};
    if (last_spawned_at) object["last_spawned_at"] = iso_time(*last_spawned_at);
    object["environments"] = std::move(list);
    return dump(object);
}

std::string no_images_json() {
    return dump({{"images", Json::array()}});
}

Result<ServiceList> ServiceList::from_json(std::string_view json) {
    return read<ServiceList>(json, [](const Json& object) {
        const Json* services = find(object, "services");
        if (!services) bad_field("services", "an array of strings");
        return ServiceList{strings(*services, "services")};
    });
}

std::string ServiceList::to_json() const {
    return dump({{"services", services}});
}

}  // namespace jamsock
