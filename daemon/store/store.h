// What the daemon remembers, in one SQLite file (DESIGN, The store). The face is domain verbs; no
// SQL and no SQLite type leaves this folder. One connection, for one thread: the control thread
// reads by one of its own, which never waits for a writer, and writes through a StoreWriter.
// A verb that succeeded is committed. A failure to write changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/api_types.h"
#include "common/backend_state.h"
#include "common/result.h"
#include "common/service_types.h"
#include "daemon/backends/backend_record.h"
#include "daemon/histogram.h"
#include "daemon/proxy/proxy.h"

namespace jamsock {

class Store {
  public:
    // Opens or makes the database file at `path` (":memory:" for tests). Refuses, and leaves
    // untouched, a file that is damaged, is no database of jamsock's, or is of a newer version.
    static Result<Store> open(const std::string& path);
    // One more connection to a database that is open, for reading alone.
    static Result<Store> open_for_reading(const std::string& path);

    // Until when to wait while another program has the database locked; asked while it has. Five
    // seconds for each verb if it isn't said.
    void be_patient_until(std::function<std::chrono::steady_clock::time_point()> limit);

    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();

    // Records a new backend with its first status, its hold on the key if it has one, and its
    // fencing token as the last of its lock. Conflict if the key is held.
    Result<> acquire_key(const BackendRecord& backend, const StatusChange& scheduled);

    // Appends to the backend's history; `terminated` also frees its key. Conflict if there is no
    // such backend, it has that status already, or the schema doesn't allow what it says.
    Result<> record_status(const BackendId& backend, const StatusChange& change);

    // No fencing token that was ever recorded for this lock is greater; 0 if there is none. A row
    // with a number that is no token counts for nothing, and the next token takes its place: the
    // lock's own file knows better.
    std::int64_t last_fencing_token(const std::string& lock_name) const;

    // Forgets up to `most` recorded fencing tokens that are not above `floor`, which stands for
    // them from now on. Gives how many there were: fewer than `most` if none is left.
    Result<std::size_t> forget_fencing_tokens(std::int64_t floor, std::size_t most);

    // Forgets up to `most` backends that ended before `before` (wall milliseconds), the ones that
    // ended first at first. Gives who they were: fewer than `most` if none is left.
    Result<std::vector<BackendId>> forget_ended(std::int64_t before, std::size_t most);

    // Those that have not ended, without rows that make no sense. Fails if they can't be read: who
    // took none for all would give their keys again without looking for them.
    Result<std::vector<BackendRecord>> live_backends() const;
    // The id in the row of a held key, which need not make sense; and the end of such a backend, in
    // the rows alone, without a status: for one of which nothing else is known.
    std::optional<std::string> recorded_holder(const ServiceName& service, const Key& key) const;
    Result<> give_up_holder(const std::string& backend);
    std::optional<BackendRecord> find_backend(const BackendId& id) const;
    std::vector<StatusChange> statuses(const BackendId& id) const;  // in order

    // The statuses of all backends in the order in which they were recorded: up to `most` behind a
    // cursor. A cursor is never less than the wall milliseconds at which its status was recorded,
    // and greater than those of all statuses before, also of forgotten ones. The list's own is that
    // of the last row, which may be one that makes no sense and is left out. Fails if they can't be
    // read: who took none for all would wait for what is there.
    Result<EventList> events_after(std::int64_t cursor, std::size_t most) const;
    std::int64_t last_event() const;  // its cursor; 0 if there was none

    // Up to `most` of the backends that this key of the service (in whichever environment) has had,
    // live and ended, the newest first.
    Result<std::vector<BackendRecord>> backends_of(const ServiceName& service, const Key& key,
                                                   std::size_t most) const;

    // A connection token, by ConnectionToken::hash(). Its times are wall seconds.
    struct IssuedToken {
        BackendId backend;
        std::string hash;
        std::int64_t expires_at = 0;
    };
    // The user and auth data behind a token that carries them, until it expires; remembering one
    // forgets those that have expired.
    Result<> remember_identity(const IssuedToken& token, const Identity& identity,
                               std::int64_t now);
    std::optional<Identity> identity(const std::string& token_hash, std::int64_t now) const;

    // Each remembers until a token expires that it is revoked, and gives how many, or the hashes of
    // those, that were not before. `revoke_user`: all of the backend's that were issued for the
    // user and have not expired.
    Result<std::size_t> revoke(const IssuedToken& token);
    Result<std::vector<std::string>> revoke_user(const BackendId& backend, const std::string& user,
                                                 std::int64_t now);
    // The hashes of each backend's revoked tokens. Fails if they can't all be read: who took none
    // for all would let them in again.
    Result<std::map<BackendId, std::vector<std::string>>> revoked(std::int64_t now) const;
    // Forgets up to `most` that have expired. Gives how many: fewer than `most` if none is left.
    Result<std::size_t> forget_revoked(std::int64_t now, std::size_t most);

    // The definitions of services and of their environments.
    struct ServiceRow {
        ServiceName name;
        std::int64_t created_at = 0;  // wall milliseconds
        ServiceDefinition definition;
    };
    // Fails if they can't all be read: who took none for all would overwrite them.
    Result<std::vector<ServiceRow>> services() const;
    Result<> record_service(const ServiceRow& row);  // made or changed
    // With the environment `default`, all of the service's.
    Result<> remove_service(const ServiceName& name);
    // When a backend of this service and environment was last scheduled.
    std::optional<std::int64_t> last_spawned_at(const ServiceName& name) const;

    // How long each write took, failed ones included.
    const Histogram& write_times() const;

    // Whether the path still leads to the file that was opened: a database deleted or replaced
    // under the daemon can't be trusted to grant keys.
    bool is_in_place() const;

    // Folds the write-ahead log into the file at `path`. Opens a connection of its own: for the
    // helper thread.
    static void checkpoint(const std::string& path);

  private:
    struct Connection;
    explicit Store(std::unique_ptr<Connection> connection);
    void record_fencing_token(const std::string& lock_name, std::int64_t token);
    void raise_event_floor();
    void insert_status(const BackendId& backend, const StatusChange& change);
    void end_backend(const std::string& backend);
    std::unique_ptr<Connection> connection_;
};

}  // namespace jamsock
