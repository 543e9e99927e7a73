// The definitions of services and their environments (CONTRACT, Services): kept whole in memory,
// and in the store as soon as they change. Knows nothing of running backends: the Registry deletes
// a service, since only it knows who runs. Control thread.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/service_types.h"
#include "daemon/asio.h"
#include "daemon/store/store.h"
#include "daemon/store/store_writer.h"

namespace jamsock {

class Services {
  public:
    // Whether a program can be run: an error names what is missing.
    using CheckProgram = std::function<Task<Result<>>(const Command&)>;

    // `recorded` as the store has them. `standard` is the command of the default service, which is
    // always there, until it is given another one. `store` and `writer` must outlive this.
    Services(Store& store, StoreWriter& writer, std::vector<Store::ServiceRow> recorded,
             Command standard, CheckProgram check_program);

    // InvalidRequest if the name is taken, the program can't be run, or a variable is reserved;
    // ServiceNotFound for an environment of no service. Running backends stay as they are.
    // The arguments stay alive until the task has ended.
    Task<Result<>> create(const ServiceName& name, const ServiceDefinition& definition);
    Task<Result<>> update(const ServiceName& name, const ServiceUpdateRequest& change);

    ServiceList list() const;
    Result<ServiceInfo> info(const ServiceName& name) const;

    // With all that is inherited. ServiceNotFound; Conflict while it is being deleted.
    Result<ServiceDefinition> definition(const ServiceName& name) const;

    // Nobody gets the definition for as long as this lives; with it the service is removed.
    class Deletion {
      public:
        Deletion(Deletion&& other) noexcept;
        Deletion& operator=(Deletion&&) = delete;
        ~Deletion();
        // The default service gets back its first definition.
        Task<Result<>> finish();

      private:
        friend class Services;
        Deletion(Services& services, ServiceName name);
        Services* services_;
        ServiceName name_;
    };
    // Of one environment or, for the default one, of the service with all of them.
    Result<Deletion> begin_deletion(const ServiceName& name);

  private:
    struct Definition {
        std::int64_t created_at = 0;
        ServiceDefinition own;
    };

    const Definition* find(const ServiceName& name) const;
    Result<const Definition*> known(const ServiceName& name) const;
    Task<Result<>> check(const ServiceDefinition& definition) const;
    Result<> check_new(const ServiceName& name) const;
    class Turn;
    Task<> others_done();
    Task<Result<>> record(const ServiceName& name, const Definition& definition);
    void ensure_standard();
    void forget(const ServiceName& name);

    Store& store_;
    StoreWriter& writer_;
    Command standard_;
    CheckProgram check_program_;
    std::map<ServiceName, Definition> definitions_;
    std::set<ServiceName> being_deleted_;
    bool is_changing_ = false;  // a change is made of what was there before it
    Event changed_;
};

// ReservedEnvVar if jamsock itself sets one of them.
Result<> check_variables(const EnvironmentMap& variables);

}  // namespace jamsock
