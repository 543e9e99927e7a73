// Services as the API takes and gives them, and their JSON (CONTRACT, Services). A service is a
// named definition of a program; its environments are variants that inherit from it, and the one
// called `default` is the service itself. Definitions are a strict place: an unknown field is
// refused, since a mistyped one would be lost in silence.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api_types.h"
#include "common/limits.h"
#include "common/origin_rule.h"
#include "common/readiness_rule.h"

namespace jamsock {

// What a service says of its backends, or an environment in its place: what is empty is inherited.
struct ServiceDefinition {
    std::optional<Command> command;
    EnvironmentMap base_environment;  // goes with `command`: the PATH and home of whoever gave it
    EnvironmentMap env;
    Limits limits;
    ReadinessRule readiness;
    std::optional<OriginRule> allow_origins;

    // This one, and what it doesn't set as `base` has it; variables of both.
    ServiceDefinition over(const ServiceDefinition& base) const;
    bool names_program() const;  // to be run: as its command, or to tell whether it is ready
    friend bool operator==(const ServiceDefinition&, const ServiceDefinition&) = default;
};

// POST /v2/account/{account}/service; the name may be "service/environment".
struct ServiceCreateRequest {
    ServiceName name = ServiceName::standard();
    ServiceDefinition definition;

    static Result<ServiceCreateRequest> from_json(std::string_view json);
    std::string to_json() const;
};

// POST …/update: a JSON Merge Patch (RFC 7396). What is not named stays; null takes a variable, a
// limit, a rule, a sign of readiness or the command back to what it was without it. A new sign
// takes the place of another.
struct ServiceUpdateRequest {
    template <class T>
    using Change = std::optional<std::optional<T>>;  // empty: stays; an empty value: taken back

    Change<Command> command;
    EnvironmentMap base_environment;  // goes with `command`
    std::map<std::string, std::optional<std::string>> env;
    Change<std::int64_t> max_idle, lifetime, grace, startup;
    Change<ReadySign> ready_log, ready_path, ready_exec;  // at most one has a value
    Change<bool> listen_fd;
    Change<PortRule> port_owner;
    Change<OriginRule> allow_origins;

    bool is_empty() const;
    bool names_program() const;  // as ServiceDefinition's
    ServiceDefinition applied_to(ServiceDefinition definition) const;

    static Result<ServiceUpdateRequest> from_json(std::string_view json);
    std::string to_json() const;
};

// POST …/delete.
struct ServiceDeleteRequest {
    bool force = false;  // end its backends first; else it is a conflict while there are some

    static Result<ServiceDeleteRequest> from_json(std::string_view json);
    std::string to_json() const;
};

// One environment of a service, `default` first in every list.
struct EnvironmentInfo {
    std::string name;
    ServiceDefinition definition;  // what it sets itself
    std::int64_t created_at = 0;   // wall milliseconds
    std::optional<std::int64_t> last_spawned_at;
};

struct ServiceInfo {
    std::string account;
    std::string name;
    std::vector<EnvironmentInfo> environments;  // at least `default`

    static Result<ServiceInfo> from_json(std::string_view json);
    std::string to_json() const;
};

// {"images":[]}
std::string no_images_json();

struct ServiceList {
    std::vector<std::string> services;  // in order

    static Result<ServiceList> from_json(std::string_view json);
    std::string to_json() const;
};

}  // namespace jamsock
