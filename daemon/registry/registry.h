// The rules of keys and backends: connect, look up, list, terminate (CONTRACT, Endpoints). Every
// decision is made here, on the control thread, so that a second connect finds what the first one
// decided (DESIGN, The promise, layer 1). Knows no HTTP, no SQL and no signals: it asks the store
// and the backends, publishes routes, and hears of every change through `on_event`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/api_types.h"
#include "common/clock.h"
#include "daemon/asio.h"
#include "daemon/backends/backends.h"
#include "daemon/backends/ports.h"
#include "daemon/caller.h"
#include "daemon/histogram.h"
#include "daemon/proxy/activity.h"
#include "daemon/proxy/routes.h"
#include "daemon/registry/key_cursor.h"
#include "daemon/registry/services.h"
#include "daemon/registry/unrecorded.h"
#include "daemon/store/store.h"
#include "daemon/store/store_writer.h"

namespace jamsock {

// Where routes go: to the proxy, or to a test.
struct RouteSink {
    std::function<void(std::shared_ptr<const Route>)> publish;
    std::function<void(std::uint64_t serial)> remove;
    std::function<void(std::uint64_t serial)> cut_revoked;
};

struct RegistrySettings {
    std::string url_base;  // "http://127.0.0.1:9090/": a connection token and "/" make the URL
    std::string api_base;  // "http://127.0.0.1:8080": the API's paths follow
    std::string mounts;    // the absolute path of the state directory's `mounts`
    BootNow now = &BootClock::now;
    EnvironmentMap plain_environment = {};  // of a backend that nobody gives another one
    std::string state_directory = {};       // which one it is: marks say so (mark.h)
};

// Which backends a list shall have; what is empty restricts nothing.
struct KeyFilter {
    std::string service;
    std::string prefix;  // of the key; with one, backends without a key are left out
    std::optional<std::size_t> limit = {};
    std::optional<KeyCursor> after = {};  // those behind this place of the order
};

class Registry {
  public:
    // Reads by `store`, and writes by `writer`.
    Registry(Store& store, StoreWriter& writer, Services& services, Backends& backends,
             RouteSink routes, RegistrySettings settings);
    ~Registry();

    // Records what happens; to be run from the beginning, until `finish_recording`.
    Task<> keep_recording();
    Task<> finish_recording();
    // Until all that has happened by now is recorded. False: it can't be before the daemon stops.
    Task<bool> recorded();

    // The arguments of a task stay alive until it has ended.

    // The backend that holds the request's key, or a new one. With `ready_by`, answers only when it
    // is ready: TimedOut when that is over, BackendEndedBeforeReady or SpawnFailed if it ends
    // first. One that ended because its port was taken is started again with another one, twice at
    // most. For a `caller` who has left, nothing is started any more.
    Task<Result<ConnectResponse>> connect(const ServiceName& service, const ConnectRequest& request,
                                          std::optional<Patience> ready_by,
                                          Caller* caller = nullptr);

    // The backends that have not ended, ordered by key, then id; those without a key first. With a
    // limit that leaves some out, `next_cursor` is where they begin: whoever asks on from there
    // sees each backend that lives all the while once, whatever comes and goes.
    KeyList keys(const KeyFilter& filter) const;
    // What each of these uses of the memory; waits for a look at all processes.
    Task<> add_usage(KeyList& list) const;
    // The same, ordered by age, oldest first.
    RunningBackends running_backends() const;

    // The statuses of all backends in one order, also over restarts: up to `most` behind the
    // cursor. Waits for one until `limit`; then there may be none.
    Task<Result<EventList>> events_after(std::int64_t cursor, std::size_t most, Patience limit);
    // The cursor behind all that there is.
    std::int64_t last_event() const { return writer_.last_event(); }

    // The backends that a key has had, live and ended, the newest first: up to `most`.
    Result<KeyHistory> history(const ServiceName& service, const Key& key, std::size_t most) const;

    // Also of ended backends, as long as the store remembers them.
    Result<BackendInfo> backend(const BackendId& id) const;
    // The same, with what its processes and files show.
    Task<Result<BackendInfo>> inspect(const BackendId& id) const;
    // All of its statuses, in order; there is one at least.
    Result<std::vector<StatusChange>> statuses(const BackendId& id) const;
    // All of a backend's statuses but the first `seen`, in order. Waits for one until `limit`
    // expires; then there may be none, as after the last one.
    Task<Result<std::vector<StatusChange>>> statuses_after(const BackendId& id, std::size_t seen,
                                                           asio::steady_timer& limit);

    // The backend counts as used, as by one request, for as long as what this gives lives.
    // BackendNotRunning if it has ended or is ending.
    Result<Admission> hold_in_use(const BackendId& id) const;

    // The URL that a connection token of this backend is good for, also of one that has ended.
    // BackendNotFound if it is none of its tokens; BackendGone if it is no longer good.
    Result<std::string> url(const BackendId& id, const std::string& token) const;
    const std::string& api_base() const { return settings_.api_base; }

    // The status at which a backend is ready or has ended; the present one if it is neither until
    // `limit` is over.
    Task<Result<StatusChange>> ready_or_ended(const BackendId& id, Patience limit);

    // With `wait`, answers when the backend has ended; Conflict if it is still ending at the
    // grace's end plus a margin.
    Task<Result<>> terminate(const BackendId& id, const TerminateRequest& request, bool wait,
                             Caller* caller = nullptr);

    // Tells all backends of a service (or of one environment) to end that were scheduled before the
    // given time, each with its own grace. ServiceNotFound.
    Result<TerminateBackendsResponse> terminate_backends(const ServiceName& service,
                                                         const TerminateBackendsRequest& request);

    // Ends connection tokens of a backend that has not ended; with `close`, also the connections
    // that use them. One that has expired or was revoked before is fine. InvalidRequest for a token
    // that was not issued for this backend.
    Task<Result<RevokeResponse>> revoke(const BackendId& id, const RevokeRequest& request);

    // Removes a service or one of its environments from `services`. Conflict while backends of it
    // run; with `force` they are ended first, each with its own grace.
    Task<Result<>> delete_service(const ServiceName& name, const ServiceDeleteRequest& request);

    // Ends the backends that nobody has used for their `max_idle`, and records what could not be
    // recorded before. To be called every second.
    void look_after();

    std::optional<Identity> identity(const std::string& token_hash) const;
    std::size_t live_count() const { return by_id_.size(); }
    // It has not ended. Its output is whole once it has.
    bool lives(const BackendId& id) const { return by_id_.contains(id); }
    // The lock files of all backends that have not ended, also of those that are yet to start.
    std::unordered_set<std::string> locks_in_use() const;

    // Takes in what recovery found, before anything else is asked (DESIGN, Recovery). `ready`
    // as the backend's directory has it. Gives the last status known of the backend.
    Task<StatusChange> take_in(const BackendRecord& record, const std::optional<ReadyMark>& ready);
    // After that: no token that was revoked is good again.
    Result<> recall_revoked();
    // The live backends that the store names.
    Result<std::vector<BackendRecord>> recorded_live() const { return store_.live_backends(); }

    void on_event(const BackendEvent& event);
    // The main process of a backend has exited, so its port may be anybody's by now: from this
    // moment no request goes there.
    void on_exit(const BackendId& id);

    // Figures for who watches the daemon; they count from its start.
    struct Counts {
        // By "spawned", "held" or an error's name.
        std::map<std::string_view, std::uint64_t> connects{{"spawned", 0}, {"held", 0}};
        Histogram spawn_to_ready;  // of backends started by this daemon
    };
    const Counts& counts() const { return counts_; }
    // A connect that was refused before it could be asked for here.
    void count_refused(const Error& refusal);
    std::map<Status, std::size_t> live_by_status() const;
    std::size_t keys_held() const { return by_key_.size(); }

    // Every waiting request ends with ShuttingDown.
    void stop();

  private:
    struct Entry;
    using Ref = std::shared_ptr<Entry>;
    using KeyName = std::tuple<std::string, std::string, Key>;  // account, service, key

    Result<ConnectResponse> counted(Result<ConnectResponse> response);
    Result<> check(const ConnectRequest& request) const;
    Result<> check_same_program(const Entry& holder, const ServiceName& service,
                                const ConnectRequest& request) const;
    Ref holder(const ServiceName& service, const std::optional<Key>& key) const;
    struct Held {
        Ref entry;
        bool spawned = false;
    };
    Task<Result<Held>> hold(const ServiceName& service, const ConnectRequest& request,
                            std::optional<Patience> ready_by, Caller* caller, int start_number);
    bool may_start_again(const Entry& ended, const ConnectRequest& request) const;
    Task<Result<Ref>> settled_holder(const ServiceName& service, const ConnectRequest& request,
                                     std::optional<Patience> ready_by, Caller* caller);
    Task<Result<>> wait_until_acquired(const Ref& entry, Caller* caller);
    Task<Result<>> wait_until_free(const Ref& entry, std::optional<Patience> ready_by,
                                   Caller* caller);
    Task<Result<Ref>> spawn(const ServiceName& service, const ConnectRequest& request,
                            int start_number);
    Result<Ref> new_entry(const ServiceName& service, const ConnectRequest& request,
                          const ServiceDefinition& definition, const std::string& resource_key);
    Task<Result<>> acquire(const BackendRecord& record, const StatusChange& scheduled);
    void refuse(const Ref& entry, const Error& why);
    void begin(const Entry& entry, const StartSettings& settings);
    Result<BackendRecord> new_record(const ServiceName& service, const ConnectRequest& request,
                                     const ServiceDefinition& definition,
                                     const std::string& resource_key, std::uint16_t port);
    StartSettings start_settings(const BackendRecord& record, const std::string& resource_key,
                                 const ConnectRequest& request,
                                 const ServiceDefinition& definition) const;
    BackendId new_id() const;
    Task<Result<ConnectResponse>> grant(const Ref& entry, bool spawned,
                                        const ConnectRequest& request);
    Task<Result<>> wait_until_ready(const Ref& entry, Patience limit);
    Error still_ending(const Entry& entry) const;
    Result<Ref> running(const BackendId& id) const;
    Task<Result<std::size_t>> revoke_user(const Ref& entry, const std::string& user);
    Task<Result<std::size_t>> revoke_token(const Ref& entry, const std::string& text);
    Task<bool> wait_until_ended(const Ref& entry, Patience limit);
    bool is_good(const BackendRecord& record, const ConnectionToken& token) const;
    void add(const Ref& entry);
    void remove(const Ref& entry);
    void publish(const Entry& entry);
    void enter(Entry& entry, StatusChange change);
    void begin_ending(Entry& entry, const Termination& termination);
    std::vector<Ref> backends_of(const ServiceName& name) const;
    void end_idle();
    std::vector<StatusChange> statuses_of_ended(const BackendId& id) const;
    std::vector<StatusChange> statuses_of(const BackendId& id) const;

    Store& store_;
    StoreWriter& writer_;
    Services& services_;
    Backends& backends_;
    RouteSink routes_;
    RegistrySettings settings_;
    Ports ports_;
    std::unordered_map<BackendId, Ref> by_id_;
    std::map<KeyName, Ref> by_key_;
    std::size_t acquiring_ = 0;  // those whose rows are on their way to the store
    const std::shared_ptr<Event> recorded_ = std::make_shared<Event>();  // any status
    Unrecorded unrecorded_;
    Counts counts_;
    bool stopping_ = false;
};

}  // namespace jamsock
