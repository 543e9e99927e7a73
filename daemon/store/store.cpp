#include "daemon/store/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <poll.h>
#include <sqlite3.h>

#include <chrono>

#include "common/clock.h"
#include "common/text.h"
#include "daemon/log.h"
#include "daemon/shim/lock_claim.h"
#include "daemon/store/database_file.h"
#include "daemon/store/rows.h"

namespace jamsock {

using namespace rows;

namespace {

constexpr std::chrono::milliseconds usual_patience{busy_timeout_milliseconds};
constexpr int pause_milliseconds = 2;

}  // namespace

struct Store::Connection {
    Connection(std::string location, SQLite::Database opened)
        : path(std::move(location)),
          database(std::move(opened)),
          opened_file(file_identity(path)) {}

    // Statements are prepared once; each use starts from a clean one.
    SQLite::Statement& prepared(std::unique_ptr<SQLite::Statement>& slot, const char* sql) {
        if (!slot) slot = std::make_unique<SQLite::Statement>(database, sql);
        slot->tryReset();
        slot->clearBindings();
        return *slot;
    }

    // Again and again while another program has the database locked: whether to try again.
    static int wait_for_lock(void* connection, int tries) {
        auto& self = *static_cast<Connection*>(connection);
        const auto now = std::chrono::steady_clock::now();
        if (tries == 0) self.locked_since = now;
        const auto limit = self.patience ? self.patience() : self.locked_since + usual_patience;
        if (now >= limit) return 0;
        ::poll(nullptr, 0, pause_milliseconds);
        return 1;
    }

    std::string path;
    SQLite::Database database;
    std::function<std::chrono::steady_clock::time_point()> patience;
    std::chrono::steady_clock::time_point locked_since;
    std::optional<FileIdentity> opened_file;
    std::unique_ptr<SQLite::Statement> insert_backend, insert_status, insert_held_key,
        insert_fencing, select_fencing, select_identity;
    Histogram write_times;
    std::int64_t last_event = 0;  // the greatest `seq` there was, also of what was not committed
};

Store::Store(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {
}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

const Histogram& Store::write_times() const {
    return connection_->write_times;
}

namespace {

// In the table `fencing`, stands for the rows that were forgotten. No lock has such a name.
constexpr const char* floor_row = "floor";

tl::unexpected<Error> file_was_replaced() {
    return fail_openly(ErrorCode::internal,
                       "The daemon's database was deleted or replaced while it ran, so nothing can "
                       "be recorded and no key can be given.",
                       "jamsock daemon restart");
}

Error full_disk(const std::string& path) {
    const std::string sentence =
        "The disk of the state directory is full, so nothing new can be recorded; running "
        "backends go on.";
    return for_others({ErrorCode::storage_full, sentence, show_free_space(path), {}}, sentence);
}

Error busy(const std::string& path) {
    const std::string sentence =
        "Another program has the daemon's database locked, so nothing new can be recorded; running "
        "backends go on.";
    return for_others({ErrorCode::store_busy, sentence, shell_line({"fuser", "-v", path}), {}},
                      sentence);
}

class WriteTimer {
  public:
    explicit WriteTimer(Histogram& times) : times_(times) {}
    WriteTimer(const WriteTimer&) = delete;
    WriteTimer& operator=(const WriteTimer&) = delete;
    ~WriteTimer() { times_.add(std::chrono::steady_clock::now() - begin_); }

  private:
    Histogram& times_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Ends the reading of a statement that stays: left in the midst of its rows it would keep a
// snapshot, behind which nothing can be written, and no checkpoint gets far.
class EndOfReading {
  public:
    explicit EndOfReading(SQLite::Statement& statement) : statement_(statement) {}
    EndOfReading(const EndOfReading&) = delete;
    EndOfReading& operator=(const EndOfReading&) = delete;
    ~EndOfReading() { statement_.tryReset(); }

  private:
    SQLite::Statement& statement_;
};

Error error_of(const SQLite::Exception& failure, const std::string& path) {
    const int code = failure.getExtendedErrorCode();
    if (code == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return {ErrorCode::conflict, "The key is already held.", "jamsock list", {}};
    }
    if (code == SQLITE_CONSTRAINT_FOREIGNKEY) {
        return {ErrorCode::conflict, "The daemon's database doesn't know the backend.", {}, {}};
    }
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_CHECK ||
        code == SQLITE_CONSTRAINT_NOTNULL || code == SQLITE_CONSTRAINT_DATATYPE) {
        return {ErrorCode::conflict,
                "The daemon's database contradicts what is to be recorded.",
                "jamsock daemon logs",
                {}};
    }
    if (is_full_disk(failure)) return full_disk(path);
    if (is_busy(failure)) return busy(path);
    return for_anybody({ErrorCode::internal,
                        "The daemon's database could not be written.",
                        "jamsock daemon logs",
                        {}});
}

std::string cause_of(const char* what, const SQLite::Exception& failure) {
    return fmt::format("{}: {}, SQLite code {}", what, failure.what(),
                       failure.getExtendedErrorCode());
}

// Runs `work`, giving a library's exception the form of an Error, with its cause.
template <class Connection, class Work>
Result<> writing(const char* what, Connection& connection, Work work) {
    const WriteTimer timer(connection.write_times);
    try {
        work();
        return {};
    } catch (const SQLite::Exception& failure) {
        Error error = error_of(failure, connection.path);
        error.cause = cause_of(what, failure);
        return tl::unexpected(std::move(error));
    }
}

// The same for reading: what can't be read counts as absent, and the log says why.
template <class Work>
auto reading(const char* what, Work work) -> decltype(work()) {
    try {
        return work();
    } catch (const SQLite::Exception& failure) {
        log::error("store: {}", cause_of(what, failure));
        return {};
    }
}

// Also of rows that were forgotten. Fails if it can't be read: who took 0 for it would give cursors
// that were given before.
Result<std::int64_t> greatest_seq(const SQLite::Database& database) {
    std::int64_t greatest = 0;
    const bool was_read = reading("greatest_seq", [&] {
        SQLite::Statement query(database,
                                "SELECT max(ifnull((SELECT max(seq) FROM backend_status), 0), "
                                "ifnull((SELECT seq FROM event_floor), 0))");
        if (query.executeStep()) greatest = query.getColumn(0).getInt64();
        return true;
    });
    if (was_read) return greatest;
    return fail(ErrorCode::daemon_unavailable, "The last event can't be read from the database.",
                "jamsock daemon logs");
}

}  // namespace

Result<Store> Store::open(const std::string& path) {
    auto database = open_database(path);
    if (!database) return pass_on(database);
    auto connection = std::make_unique<Connection>(path, std::move(*database));
    ::sqlite3_busy_handler(connection->database.getHandle(), &Connection::wait_for_lock,
                           connection.get());
    auto last_event = greatest_seq(connection->database);
    if (!last_event) return pass_on(last_event);
    connection->last_event = *last_event;
    return Store(std::move(connection));
}

Result<Store> Store::open_for_reading(const std::string& path) {
    auto database = open_database_for_reading(path);
    if (!database) return pass_on(database);
    return Store(std::make_unique<Connection>(path, std::move(*database)));
}

void Store::be_patient_until(std::function<std::chrono::steady_clock::time_point()> limit) {
    connection_->patience = std::move(limit);
}

Result<> Store::acquire_key(const BackendRecord& backend, const StatusChange& scheduled) {
    if (!is_in_place()) return file_was_replaced();
    return writing("acquire_key", *connection_, [&] {
        Connection& db = *connection_;
        SQLite::Transaction transaction(db.database, SQLite::TransactionBehavior::IMMEDIATE);

        auto& row =
            db.prepared(db.insert_backend,
                        "INSERT INTO backend (id, serial, mac_key, account, service, "
                        "environment, key, lock_name, mark, fencing_token, created_at, tag, "
                        "argv, cwd, port, max_idle, lifetime, grace, startup, expires_at_boot, "
                        "ready_kind, ready_sign, listen_fd, port_owner, allow_origins) "
                        "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
        const std::string mac_key(backend.mac_key.reveal());
        const std::string argv = joined(backend.command.argv);
        row.bind(1, backend.id.str());
        row.bind(2, static_cast<std::int64_t>(backend.serial));
        bind_bytes(row, 3, mac_key);
        row.bind(4, backend.service.account());
        row.bind(5, backend.service.service());
        row.bind(6, backend.service.environment());
        if (backend.key) row.bind(7, backend.key->str());
        row.bind(8, backend.lock_name);
        row.bind(9, backend.mark);
        row.bind(10, backend.fencing_token);
        row.bind(11, backend.created_at);
        bind_optional(row, 12, backend.tag);
        bind_bytes(row, 13, argv);
        row.bind(14, backend.command.cwd);
        row.bind(15, static_cast<int>(backend.port));
        bind_limits(row, 16, backend.limits.as_set());
        bind_optional(row, 20, backend.expires_at_boot);
        bind_readiness(row, 21, backend.readiness);
        row.bind(25, static_cast<int>(backend.allow_origins));
        row.exec();

        if (backend.key) {
            auto& held = db.prepared(db.insert_held_key,
                                     "INSERT INTO held_key (account, service, key, backend) "
                                     "VALUES (?,?,?,?)");
            held.bind(1, backend.service.account());
            held.bind(2, backend.service.service());
            held.bind(3, backend.key->str());
            held.bind(4, backend.id.str());
            held.exec();
        }

        record_fencing_token(backend.lock_name, backend.fencing_token);
        insert_status(backend.id, scheduled);
        transaction.commit();
    });
}

void Store::record_fencing_token(const std::string& lock_name, std::int64_t token) {
    auto& row = connection_->prepared(
        connection_->insert_fencing,
        "INSERT INTO fencing (lock_name, token) VALUES (?,?) ON CONFLICT (lock_name) DO UPDATE SET "
        "token = iif(token < ?, max(token, excluded.token), excluded.token)");
    row.bind(1, lock_name);
    row.bind(2, token);
    row.bind(3, greatest_fencing_token);
    row.exec();
}

void Store::insert_status(const BackendId& backend, const StatusChange& change) {
    auto& row = connection_->prepared(
        connection_->insert_status,
        "INSERT INTO backend_status (backend, status, time, reason, kind, exit_code, exit_signal, "
        "cause, diagnosis, seq) VALUES (?,?,?,?,?,?,?,?,?,"
        "max(?, ifnull((SELECT max(seq) FROM backend_status), 0) + 1)) RETURNING seq");
    const EndOfReading end(row);
    row.bind(1, backend.str());
    row.bind(2, static_cast<int>(change.status));
    row.bind(3, change.time);
    bind_optional(row, 4, as_number(change.reason));
    bind_optional(row, 5, as_number(change.kind));
    bind_optional(row, 6, change.exit ? change.exit->code : std::nullopt);
    bind_optional(row, 7, change.exit ? change.exit->signal : std::nullopt);
    bind_optional(row, 8, as_number(change.cause));
    bind_optional(row, 9, change.diagnosis);
    row.bind(10, std::max(connection_->last_event + 1, wall_milliseconds()));
    while (row.executeStep())
        connection_->last_event = row.getColumn(0).getInt64();
}

Result<> Store::record_status(const BackendId& backend, const StatusChange& change) {
    return writing("record_status", *connection_, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        insert_status(backend, change);
        if (change.status == Status::terminated) end_backend(backend.str());
        transaction.commit();
    });
}

void Store::end_backend(const std::string& backend) {
    for (const char* sql :
         {"UPDATE backend SET ended = 1 WHERE id = ?", "DELETE FROM held_key WHERE backend = ?"}) {
        SQLite::Statement statement(connection_->database, sql);
        statement.bind(1, backend);
        statement.exec();
    }
}

std::int64_t Store::last_fencing_token(const std::string& lock_name) const {
    return reading("last_fencing_token", [&]() -> std::int64_t {
        auto& query =
            connection_->prepared(connection_->select_fencing,
                                  "SELECT max(token) FROM fencing WHERE lock_name IN (?, ?) AND "
                                  "token < ?");
        const EndOfReading end(query);
        query.bind(1, lock_name);
        query.bind(2, floor_row);
        query.bind(3, greatest_fencing_token);
        return query.executeStep() ? query.getColumn(0).getInt64() : 0;
    });
}

Result<std::size_t> Store::forget_fencing_tokens(std::int64_t floor, std::size_t most) {
    std::size_t forgotten = 0;
    auto written = writing("forget_fencing_tokens", *connection_, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement forget(
            connection_->database,
            fmt::format("DELETE FROM fencing WHERE lock_name IN (SELECT lock_name FROM fencing "
                        "WHERE token <= ? AND lock_name <> '{}' ORDER BY token LIMIT ?)",
                        floor_row));
        forget.bind(1, floor);
        forget.bind(2, static_cast<std::int64_t>(most));
        forgotten = static_cast<std::size_t>(forget.exec());
        if (forgotten > 0) record_fencing_token(floor_row, floor);
        transaction.commit();
    });
    if (!written) return pass_on(written);
    return forgotten;
}

void Store::raise_event_floor() {
    SQLite::Statement raise(connection_->database,
                            "INSERT INTO event_floor (id, seq) VALUES (1, ?) ON CONFLICT (id) DO "
                            "UPDATE SET seq = max(seq, excluded.seq)");
    raise.bind(1, connection_->last_event);
    raise.exec();
}

Result<std::vector<BackendId>> Store::forget_ended(std::int64_t before, std::size_t most) {
    std::vector<BackendId> forgotten;
    auto written = writing("forget_ended", *connection_, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement forget(connection_->database,
                                 "DELETE FROM backend WHERE ended = 1 AND id IN (SELECT backend "
                                 "FROM backend_status WHERE status = 7 AND time < ? ORDER BY time "
                                 "LIMIT ?) RETURNING id");
        forget.bind(1, before);
        forget.bind(2, static_cast<std::int64_t>(most));
        while (forget.executeStep()) {
            if (auto id = BackendId::parse(forget.getColumn(0).getString()))
                forgotten.push_back(*id);
        }
        if (!forgotten.empty()) raise_event_floor();
        transaction.commit();
    });
    if (!written) return pass_on(written);
    return forgotten;
}

Result<std::vector<BackendRecord>> Store::live_backends() const {
    std::vector<BackendRecord> backends;
    const bool all_read = reading("live_backends", [&] {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend WHERE ended = 0", backend_columns));
        while (query.executeStep()) {
            if (auto record = backend_in(query)) backends.push_back(std::move(*record));
        }
        return true;
    });
    if (all_read) return backends;
    return fail(ErrorCode::daemon_unavailable,
                "The running backends can't be read from the database.", "jamsock daemon logs");
}

std::optional<std::string> Store::recorded_holder(const ServiceName& service,
                                                  const Key& key) const {
    return reading("recorded_holder", [&]() -> std::optional<std::string> {
        SQLite::Statement query(
            connection_->database,
            "SELECT backend FROM held_key WHERE account = ? AND service = ? AND key = ?");
        query.bind(1, service.account());
        query.bind(2, service.service());
        query.bind(3, key.str());
        if (!query.executeStep()) return std::nullopt;
        return query.getColumn(0).getString();
    });
}

Result<> Store::give_up_holder(const std::string& backend) {
    return writing("give_up_holder", *connection_, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        end_backend(backend);
        transaction.commit();
    });
}

std::optional<BackendRecord> Store::find_backend(const BackendId& id) const {
    return reading("find_backend", [&]() -> std::optional<BackendRecord> {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend WHERE id = ?", backend_columns));
        query.bind(1, id.str());
        if (!query.executeStep()) return std::nullopt;
        return backend_in(query);
    });
}

std::vector<StatusChange> Store::statuses(const BackendId& id) const {
    return reading("statuses", [&]() -> std::vector<StatusChange> {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend_status WHERE backend = ? ORDER BY status",
                        status_columns));
        query.bind(1, id.str());
        std::vector<StatusChange> changes;
        while (query.executeStep())
            changes.push_back(status_in(query, 0));
        return changes;
    });
}

Result<EventList> Store::events_after(std::int64_t cursor, std::size_t most) const {
    EventList list{.cursor = cursor};
    const bool all_read = reading("events_after", [&] {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {}, {} FROM backend_status JOIN backend ON id = backend "
                        "WHERE seq > ? ORDER BY seq LIMIT ?",
                        event_columns, status_columns));
        query.bind(1, cursor);
        query.bind(2, static_cast<std::int64_t>(most));
        while (query.executeStep()) {
            list.cursor = query.getColumn(0).getInt64();
            if (auto event = event_in(query)) list.events.push_back(std::move(*event));
        }
        return true;
    });
    if (all_read) return list;
    return fail_openly(ErrorCode::internal, "The events can't be read from the database.",
                       "jamsock daemon logs");
}

std::int64_t Store::last_event() const {
    return connection_->last_event;
}

Result<std::vector<BackendRecord>> Store::backends_of(const ServiceName& service, const Key& key,
                                                      std::size_t most) const {
    std::vector<BackendRecord> backends;
    const bool all_read = reading("backends_of", [&] {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend WHERE account = ? AND service = ? AND key = ? "
                        "ORDER BY fencing_token DESC LIMIT ?",
                        backend_columns));
        query.bind(1, service.account());
        query.bind(2, service.service());
        query.bind(3, key.str());
        query.bind(4, static_cast<std::int64_t>(most));
        while (query.executeStep()) {
            if (auto record = backend_in(query)) backends.push_back(std::move(*record));
        }
        return true;
    });
    if (all_read) return backends;
    return fail_openly(ErrorCode::internal, "The history can't be read from the database.",
                       "jamsock daemon logs");
}

Result<> Store::remember_identity(const IssuedToken& token, const Identity& identity,
                                  std::int64_t now) {
    return writing("remember_identity", *connection_, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement sweep(connection_->database, "DELETE FROM token WHERE expires_at <= ?");
        sweep.bind(1, now);
        sweep.exec();
        SQLite::Statement insert(
            connection_->database,
            "INSERT INTO token (hash, user, auth, expires_at, backend) VALUES (?,?,?,?,?)");
        bind_bytes(insert, 1, token.hash);
        bind_optional(insert, 2, identity.user);
        bind_optional(insert, 3, identity.auth);
        insert.bind(4, token.expires_at);
        insert.bind(5, token.backend.str());
        insert.exec();
        transaction.commit();
    });
}

std::optional<Identity> Store::identity(const std::string& token_hash, std::int64_t now) const {
    return reading("identity", [&]() -> std::optional<Identity> {
        auto& query =
            connection_->prepared(connection_->select_identity,
                                  "SELECT user, auth FROM token WHERE hash = ? AND expires_at > ?");
        const EndOfReading end(query);
        bind_bytes(query, 1, token_hash);
        query.bind(2, now);
        if (!query.executeStep()) return std::nullopt;
        return Identity{column<std::string>(query, 0), column<std::string>(query, 1)};
    });
}

Result<std::size_t> Store::revoke(const IssuedToken& token) {
    if (!is_in_place()) return file_was_replaced();
    std::size_t revoked = 0;
    auto written = writing("revoke", *connection_, [&] {
        SQLite::Statement insert(connection_->database,
                                 "INSERT INTO revoked (backend, hash, expires_at) VALUES (?,?,?) "
                                 "ON CONFLICT DO NOTHING");
        insert.bind(1, token.backend.str());
        bind_bytes(insert, 2, token.hash);
        insert.bind(3, token.expires_at);
        revoked = static_cast<std::size_t>(insert.exec());
    });
    if (!written) return pass_on(written);
    return revoked;
}

// A token whose backend isn't known, as it was issued before rows named it, may be this one's: for
// no other backend does the entry mean anything.
Result<std::vector<std::string>> Store::revoke_user(const BackendId& backend,
                                                    const std::string& user, std::int64_t now) {
    if (!is_in_place()) return file_was_replaced();
    std::vector<std::string> hashes;
    auto written = writing("revoke_user", *connection_, [&] {
        SQLite::Statement insert(
            connection_->database,
            "INSERT INTO revoked (backend, hash, expires_at) SELECT ?1, hash, expires_at "
            "FROM token WHERE user = ?2 AND (backend = ?1 OR backend IS NULL) AND expires_at > ?3 "
            "ON CONFLICT DO NOTHING RETURNING hash");
        insert.bind(1, backend.str());
        insert.bind(2, user);
        insert.bind(3, now);
        while (insert.executeStep())
            hashes.push_back(insert.getColumn(0).getString());
    });
    if (!written) return pass_on(written);
    return hashes;
}

Result<std::map<BackendId, std::vector<std::string>>> Store::revoked(std::int64_t now) const {
    std::map<BackendId, std::vector<std::string>> hashes;
    const bool all_read = reading("revoked", [&] {
        SQLite::Statement query(connection_->database,
                                "SELECT backend, hash FROM revoked WHERE expires_at > ?");
        query.bind(1, now);
        while (query.executeStep()) {
            if (auto id = BackendId::parse(query.getColumn(0).getString()))
                hashes[*id].push_back(query.getColumn(1).getString());
        }
        return true;
    });
    if (all_read) return hashes;
    return fail(ErrorCode::daemon_unavailable,
                "The revoked connection tokens can't be read from the database.",
                "jamsock daemon logs");
}

Result<std::size_t> Store::forget_revoked(std::int64_t now, std::size_t most) {
    std::size_t forgotten = 0;
    auto written = writing("forget_revoked", *connection_, [&] {
        SQLite::Statement forget(connection_->database,
                                 "DELETE FROM revoked WHERE (backend, hash) IN (SELECT backend, "
                                 "hash FROM revoked WHERE expires_at <= ? LIMIT ?)");
        forget.bind(1, now);
        forget.bind(2, static_cast<std::int64_t>(most));
        forgotten = static_cast<std::size_t>(forget.exec());
    });
    if (!written) return pass_on(written);
    return forgotten;
}

Result<std::vector<Store::ServiceRow>> Store::services() const {
    std::vector<ServiceRow> rows;
    const bool all_read = reading("services", [&] {
        SQLite::Statement query(connection_->database,
                                fmt::format("SELECT {} FROM service", service_columns));
        while (query.executeStep()) {
            if (auto row = service_in(query)) rows.push_back(std::move(*row));
        }
        return true;
    });
    if (all_read) return rows;
    return fail(ErrorCode::daemon_unavailable, "The services can't be read from the database.",
                "jamsock daemon logs");
}

Result<> Store::record_service(const ServiceRow& row) {
    if (!is_in_place()) return file_was_replaced();
    return writing("record_service", *connection_, [&] {
        SQLite::Statement insert(
            connection_->database,
            fmt::format(
                "INSERT OR REPLACE INTO service ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                service_columns));
        const ServiceDefinition& definition = row.definition;
        const std::string argv = definition.command ? joined(definition.command->argv) : "";
        const std::string base_env = joined(definition.base_environment);
        const std::string env = joined(definition.env);
        insert.bind(1, row.name.account());
        insert.bind(2, row.name.service());
        insert.bind(3, row.name.environment());
        insert.bind(4, row.created_at);
        if (definition.command) {
            bind_bytes(insert, 5, argv);
            insert.bind(6, definition.command->cwd);
        }
        bind_bytes(insert, 7, base_env);
        bind_bytes(insert, 8, env);
        bind_limits(insert, 9, definition.limits);
        bind_readiness(insert, 13, definition.readiness);
        bind_optional(insert, 17, as_number(definition.allow_origins));
        insert.exec();
    });
}

Result<> Store::remove_service(const ServiceName& name) {
    if (!is_in_place()) return file_was_replaced();
    return writing("remove_service", *connection_, [&] {
        const bool whole = name.is_whole();
        SQLite::Statement remove(
            connection_->database,
            fmt::format("DELETE FROM service WHERE account = ? AND service = ?{}",
                        whole ? "" : " AND environment = ?"));
        remove.bind(1, name.account());
        remove.bind(2, name.service());
        if (!whole) remove.bind(3, name.environment());
        remove.exec();
    });
}

std::optional<std::int64_t> Store::last_spawned_at(const ServiceName& name) const {
    return reading("last_spawned_at", [&]() -> std::optional<std::int64_t> {
        SQLite::Statement query(connection_->database,
                                "SELECT max(created_at) FROM backend WHERE account = ? AND "
                                "service = ? AND environment = ?");
        query.bind(1, name.account());
        query.bind(2, name.service());
        query.bind(3, name.environment());
        if (!query.executeStep()) return std::nullopt;
        return column<std::int64_t>(query, 0);
    });
}

// SQLite knows which file it opened; it compares inodes alone, and the path as it was then.
bool Store::is_in_place() const {
    return file_identity(connection_->path) == connection_->opened_file &&
           !was_moved(connection_->database);
}

void Store::checkpoint(const std::string& path) {
    try {
        SQLite::Database database(path, SQLite::OPEN_READWRITE, busy_timeout_milliseconds);
        database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (const SQLite::Exception& failure) {
        log::warn("store: checkpoint: {}", failure.what());
    }
}

}  // namespace jamsock
