#include "daemon/registry/services.h"

#include <fmt/format.h>

#include <utility>

#include "common/clock.h"
#include "common/hints.h"
#include "common/text.h"
#include "daemon/log.h"

namespace jamsock {

namespace {

bool is_standard(const ServiceName& name) {
    return name.whole() == ServiceName::standard();
}

const char* kind_of(const ServiceName& name) {
    return name.is_whole() ? "service" : "environment";
}

}  // namespace

Result<> check_variables(const EnvironmentMap& variables) {
    for (const auto& [name, value] : variables) {
        if (is_reserved_variable(name)) {
            return fail(ErrorCode::reserved_env_var,
                        fmt::format("The variable {} is set by jamsock itself and can't be given.",
                                    in_quotes(name)));
        }
    }
    return {};
}

// The change that is being made; the next one waits for its end.
class Services::Turn {
  public:
    explicit Turn(Services& services) : services_(services) { services_.is_changing_ = true; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        services_.is_changing_ = false;
        services_.changed_.notify_all();
    }

  private:
    Services& services_;
};

Services::Services(Store& store, StoreWriter& writer, std::vector<Store::ServiceRow> recorded,
                   Command standard, CheckProgram check_program)
    : store_(store),
      writer_(writer),
      standard_(std::move(standard)),
      check_program_(std::move(check_program)) {
    for (Store::ServiceRow& row : recorded)
        definitions_.emplace(row.name, Definition{row.created_at, std::move(row.definition)});
    ensure_standard();
}

// Not recorded before it is changed: a full disk keeps nobody from it.
void Services::ensure_standard() {
    definitions_.try_emplace(ServiceName::standard(),
                             Definition{.created_at = wall_milliseconds()});
}

const Services::Definition* Services::find(const ServiceName& name) const {
    const auto found = definitions_.find(name);
    return found == definitions_.end() ? nullptr : &found->second;
}

Result<const Services::Definition*> Services::known(const ServiceName& name) const {
    if (being_deleted_.contains(name) || being_deleted_.contains(name.whole())) {
        return fail(
            ErrorCode::conflict,
            fmt::format("The {} {} is being deleted.", kind_of(name), in_quotes(name.str())),
            "jamsock service list");
    }
    if (const Definition* found = find(name)) return found;
    const bool lacks_service = !find(name.whole());
    const std::string missing = lacks_service ? name.service() : name.str();
    return fail(ErrorCode::service_not_found,
                fmt::format("There is no {} {}.", lacks_service ? "service" : "environment",
                            in_quotes(missing)),
                shell_line({"jamsock", "service", "create", missing}) +
                    (lacks_service ? " -- COMMAND" : " -e NAME=VALUE"));
}

Task<Result<>> Services::check(const ServiceDefinition& definition) const {
    if (auto sound = check_variables(definition.env); !sound) co_return sound;
    if (auto sound = check_variables(definition.base_environment); !sound) co_return sound;
    if (!definition.command) co_return Result<>();
    co_return co_await check_program_(*definition.command);
}

Result<> Services::check_new(const ServiceName& name) const {
    if (!name.is_whole()) {
        if (auto service = known(name.whole()); !service) return pass_on(service);
    }
    if (!find(name)) return {};
    return fail(ErrorCode::conflict,
                fmt::format("There is a {} {} already.", kind_of(name), in_quotes(name.str())),
                give_command(name));
}

Task<> Services::others_done() {
    while (is_changing_)
        co_await changed_.wait_until(never);
}

Task<Result<>> Services::record(const ServiceName& name, const Definition& definition) {
    const Store::ServiceRow row{name, definition.created_at, definition.own};
    const Result<> recorded = co_await writer_.record_service(row);
    if (recorded) definitions_.insert_or_assign(name, definition);
    co_return recorded;
}

// Looked at twice: others may change the services while a program is looked at.
Task<Result<>> Services::create(const ServiceName& name, const ServiceDefinition& definition) {
    if (auto fresh = check_new(name); !fresh) co_return fresh;
    const auto sound = co_await check(definition);
    if (!sound) co_return sound;
    co_await others_done();
    const Turn turn(*this);
    if (auto fresh = check_new(name); !fresh) co_return fresh;
    const Definition made{wall_milliseconds(), definition};
    co_return co_await record(name, made);
}

Task<Result<>> Services::update(const ServiceName& name, const ServiceUpdateRequest& change) {
    auto present = known(name);
    if (!present) co_return pass_on(present);
    ServiceDefinition given = change.applied_to((*present)->own);
    // What was sound when it was given isn't asked again: its program may have moved since.
    if (!change.command) given.command.reset();
    const auto sound = co_await check(given);
    if (!sound) co_return sound;
    co_await others_done();
    const Turn turn(*this);
    present = known(name);
    if (!present) co_return pass_on(present);
    const Definition updated{(*present)->created_at, change.applied_to((*present)->own)};
    co_return co_await record(name, updated);
}

ServiceList Services::list() const {
    ServiceList list;
    for (const auto& [name, definition] : definitions_) {
        if (name.is_whole()) list.services.push_back(name.service());
    }
    return list;
}

Result<ServiceInfo> Services::info(const ServiceName& name) const {
    if (auto present = known(name.whole()); !present) return pass_on(present);
    ServiceInfo info{.account = name.account(), .name = name.service()};
    for (const auto& [environment, definition] : definitions_) {
        if (environment.whole() != name.whole()) continue;
        EnvironmentInfo one{.name = environment.environment(),
                            .definition = definition.own,
                            .created_at = definition.created_at,
                            .last_spawned_at = store_.last_spawned_at(environment)};
        const auto place =
            environment.is_whole() ? info.environments.begin() : info.environments.end();
        info.environments.insert(place, std::move(one));
    }
    auto& command = info.environments.front().definition.command;
    if (!command && is_standard(name)) command = standard_;
    return info;
}

Result<ServiceDefinition> Services::definition(const ServiceName& name) const {
    auto own = known(name);
    if (!own) return pass_on(own);
    ServiceDefinition whole = (*own)->own;
    if (const Definition* service = find(name.whole()); service && !name.is_whole())
        whole = whole.over(service->own);
    if (!whole.command && is_standard(name)) whole.command = standard_;
    return whole;
}

void Services::forget(const ServiceName& name) {
    std::erase_if(definitions_, [&](const auto& entry) {
        return name.is_whole() ? entry.first.whole() == name.whole() : entry.first == name;
    });
}

Result<Services::Deletion> Services::begin_deletion(const ServiceName& name) {
    auto present = known(name);
    if (!present) return pass_on(present);
    return Deletion(*this, name);
}

Services::Deletion::Deletion(Services& services, ServiceName name)
    : services_(&services), name_(std::move(name)) {
    services_->being_deleted_.insert(name_);
}

Services::Deletion::Deletion(Deletion&& other) noexcept
    : services_(std::exchange(other.services_, nullptr)), name_(std::move(other.name_)) {
}

Services::Deletion::~Deletion() {
    if (services_) services_->being_deleted_.erase(name_);
}

Task<Result<>> Services::Deletion::finish() {
    co_await services_->others_done();
    const Turn turn(*services_);
    const Result<> removed = co_await services_->writer_.remove_service(name_);
    if (!removed) co_return removed;
    services_->forget(name_);
    services_->ensure_standard();
    co_return Result<>();
}

}  // namespace jamsock
