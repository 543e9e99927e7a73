#include "daemon/store/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "common/text.h"
#include "daemon/log.h"
#include "daemon/store/schema.h"

namespace jamsock {

namespace {

constexpr int busy_timeout_milliseconds = 5000;

std::string joined(const std::vector<std::string>& argv) {
    std::string bytes;
    for (const std::string& argument : argv)
        bytes += argument + '\0';
    return bytes;
}

std::vector<std::string> split(std::string_view bytes) {
    std::vector<std::string> argv;
    while (!bytes.empty()) {
        const auto end = bytes.find('\0');
        argv.emplace_back(bytes.substr(0, end));
        bytes.remove_prefix(end + 1);
    }
    return argv;
}

std::string joined(const EnvironmentMap& variables) {
    std::string bytes;
    for (const auto& [name, value] : variables)
        bytes += name + '=' + value + '\0';
    return bytes;
}

EnvironmentMap split_variables(std::string_view bytes) {
    EnvironmentMap variables;
    for (const std::string& entry : split(bytes)) {
        const auto equals = std::min(entry.find('='), entry.size());
        variables.emplace(entry.substr(0, equals),
                          entry.substr(std::min(equals + 1, entry.size())));
    }
    return variables;
}

void bind_bytes(SQLite::Statement& statement, int index, const std::string& bytes) {
    statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

template <class Value>
void bind_optional(SQLite::Statement& statement, int index, const std::optional<Value>& value) {
    if (value) {
        statement.bind(index, *value);
    } else {
        statement.bind(index);
    }
}

template <class Enum>
std::optional<int> as_number(const std::optional<Enum>& value) {
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

template <class Value>
std::optional<Value> column(const SQLite::Statement& row, int index) {
    const auto value = row.getColumn(index);
    if (value.isNull()) return std::nullopt;
    if constexpr (std::is_same_v<Value, std::string>) {
        return value.getString();
    } else {
        return static_cast<Value>(value.getInt64());
    }
}

// Four columns, from `first` on.
void bind_limits(SQLite::Statement& statement, int first, const Limits& limits) {
    for (const auto& limit : {limits.max_idle, limits.lifetime, limits.grace, limits.startup})
        bind_optional(statement, first++, limit);
}

Limits limits_in(const SQLite::Statement& row, int first) {
    return {column<std::int64_t>(row, first), column<std::int64_t>(row, first + 1),
            column<std::int64_t>(row, first + 2), column<std::int64_t>(row, first + 3)};
}

// Nothing if the row holds what no backend can have: then somebody else wrote it.
std::optional<BackendRecord> record_in(const SQLite::Statement& row) {
    const auto id = BackendId::parse(row.getColumn(0).getString());
    const auto mac_key = MacKey::from_bytes(row.getColumn(2).getString());
    const auto service = ServiceName::parse(
        row.getColumn(3).getString(), row.getColumn(4).getString(), row.getColumn(5).getString());
    const auto key_text = column<std::string>(row, 6);
    std::optional<Key> key;
    if (const auto parsed = Key::parse(key_text.value_or("")); parsed) key = *parsed;
    if (!id || !mac_key || !service || key.has_value() != key_text.has_value()) {
        log::error("store: the row of the backend {} makes no sense",
                   in_quotes(row.getColumn(0).getString()));
        return std::nullopt;
    }
    BackendRecord record{
        .id = *id,
        .serial = static_cast<std::uint64_t>(row.getColumn(1).getInt64()),
        .mac_key = *mac_key,
        .service = *service,
        .lock_name = row.getColumn(7).getString(),
        .mark = row.getColumn(8).getString(),
        .fencing_token = row.getColumn(9).getInt64(),
        .created_at = row.getColumn(10).getInt64(),
        .tag = column<std::string>(row, 11),
        .command = Command{split(row.getColumn(12).getString()), row.getColumn(13).getString()},
        .port = static_cast<std::uint16_t>(row.getColumn(14).getInt()),
        .limits = LifeLimits(limits_in(row, 15)),
        .expires_at_boot = column<std::int64_t>(row, 19)};
    record.key = key;
    return record;
}

constexpr const char* backend_columns =
    "id, serial, mac_key, account, service, environment, key, lock_name, mark, fencing_token, "
    "created_at, tag, argv, cwd, port, max_idle, lifetime, grace, startup, expires_at_boot";

constexpr const char* service_columns =
    "account, service, environment, created_at, argv, cwd, base_env, env, "
    "max_idle, lifetime, grace, startup";

// Nothing if the row holds what no service can have: then somebody else wrote it.
std::optional<Store::ServiceRow> service_in(const SQLite::Statement& row) {
    auto name = ServiceName::parse(row.getColumn(0).getString(), row.getColumn(1).getString(),
                                   row.getColumn(2).getString());
    if (!name) return std::nullopt;
    Store::ServiceRow service{.name = std::move(*name), .created_at = row.getColumn(3).getInt64()};
    if (!row.getColumn(4).isNull()) {
        service.definition.command =
            Command{split(row.getColumn(4).getString()), row.getColumn(5).getString()};
    }
    service.definition.base_environment = split_variables(row.getColumn(6).getString());
    service.definition.env = split_variables(row.getColumn(7).getString());
    service.definition.limits = limits_in(row, 8);
    return service;
}

// "file:…?immutable=1" (sqlite.org/uri.html): what has a meaning in a URI is written as %xx.
std::string immutable_uri(const std::string& path) {
    std::string uri = "file:";
    for (const char c : path) {
        if (std::string_view("%?#").find(c) == std::string_view::npos) {
            uri += c;
        } else {
            uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        }
    }
    return uri + "?immutable=1";
}

struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

std::optional<FileIdentity> file_identity(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

int pragma_number(SQLite::Database& database, const char* name) {
    return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

tl::unexpected<Error> refuse(std::string_view why, std::string hint) {
    return fail(
        ErrorCode::daemon_unavailable,
        fmt::format("The database jamsock.db in the state directory {}; it was left as it is.",
                    why),
        std::move(hint));
}

// Running backends are found without their database, so it may be put aside.
tl::unexpected<Error> refuse_file(const std::string& path, std::string_view why) {
    return refuse(why, shell_line({"mv", path, path + ".aside"}));
}

// SQLite's memory-mapped file beside the database fails to grow with another code than the rest.
bool is_full_disk(const SQLite::Exception& failure) {
    return failure.getErrorCode() == SQLITE_FULL ||
           failure.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE;
}

std::string show_free_space(const std::string& path) {
    return shell_line({"df", "-h", path});
}

Result<> check_marks(SQLite::Database& database, const std::string& path) {
    const int version = pragma_number(database, "user_version");
    const int application = pragma_number(database, "application_id");
    if (application != schema::application_id && (application != 0 || version != 0)) {
        return refuse_file(path, "belongs to another program");
    }
    if (version > static_cast<int>(schema::steps.size())) {
        return refuse_file(path, "was written by a newer version of jamsock");
    }
    return {};
}

// A look at the file alone, which makes and writes nothing, not even the files beside it.
Result<> check_untouched(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) return {};
    if (S_ISDIR(status.st_mode)) return refuse_file(path, "is a directory");
    SQLite::Database database(immutable_uri(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    return check_marks(database, path);
}

// The same with what its write-ahead log says, before anything is written.
Result<> check_before_writing(SQLite::Database& database, const std::string& path) {
    if (::sqlite3_db_readonly(database.getHandle(), "main") == 1) {
        return refuse("can't be written", shell_line({"chmod", "600", path}));
    }
    if (auto ours = check_marks(database, path); !ours) return ours;
    const bool fresh = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
    if (fresh) return {};
    if (pragma_number(database, "application_id") != schema::application_id) {
        return refuse_file(path, "belongs to another program");
    }
    if (database.execAndGet("PRAGMA quick_check(1)").getString() != "ok")
        return refuse_file(path, "is damaged");
    return {};
}

// What is refused stays as it is: its write-ahead log is not folded into it when it is closed.
void keep_log_of(SQLite::Database& database, bool keep) {
    ::sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0,
                        nullptr);
}

bool has_write_ahead_log(const std::string& path) {
    struct stat status {};
    return ::stat((path + "-wal").c_str(), &status) == 0 && status.st_size > 0;
}

void configure(SQLite::Database& database) {
    database.exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;");
}

void migrate(SQLite::Database& database, const std::string& path) {
    const int version = pragma_number(database, "user_version");
    const int newest = static_cast<int>(schema::steps.size());
    if (version == newest) return;
    if (version > 0)
        database.backup(fmt::format("{}.v{}", path, version).c_str(), SQLite::Database::Save);
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    for (int step = version; step < newest; ++step) {
        database.exec(schema::steps[static_cast<std::size_t>(step)]);
    }
    database.exec(fmt::format("PRAGMA application_id={}; PRAGMA user_version={};",
                              schema::application_id, newest));
    transaction.commit();
}

}  // namespace

struct Store::Connection {
    explicit Connection(const std::string& location)
        : path(location),
          database(location, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                   busy_timeout_milliseconds) {}

    // Statements are prepared once; each use starts from a clean one.
    SQLite::Statement& prepared(std::unique_ptr<SQLite::Statement>& slot, const char* sql) {
        if (!slot) slot = std::make_unique<SQLite::Statement>(database, sql);
        slot->tryReset();
        slot->clearBindings();
        return *slot;
    }

    std::string path;
    SQLite::Database database;
    std::optional<FileIdentity> opened_file;
    std::unique_ptr<SQLite::Statement> insert_backend, insert_status, insert_held_key,
        insert_fencing, select_fencing, select_identity;
};

Store::Store(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {
}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::string& path) try {
    if (auto ours = check_untouched(path); !ours) return pass_on(ours);
    const bool keep_log = has_write_ahead_log(path);
    auto connection = std::make_unique<Connection>(path);
    keep_log_of(connection->database, keep_log);
    if (auto sound = check_before_writing(connection->database, path); !sound)
        return pass_on(sound);
    keep_log_of(connection->database, false);
    configure(connection->database);
    migrate(connection->database, path);
    connection->opened_file = file_identity(path);
    return Store(std::move(connection));
} catch (const SQLite::Exception& failure) {
    log::error("store: {} (SQLite code {})", failure.what(), failure.getExtendedErrorCode());
    if (is_full_disk(failure)) {
        return refuse("can't be used, because the disk is full", show_free_space(path));
    }
    switch (failure.getErrorCode()) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            return refuse_file(path, "is damaged or no database");
        default:
            return refuse_file(path, "can't be opened");
    }
}

namespace {

tl::unexpected<Error> file_was_replaced() {
    return fail(ErrorCode::internal,
                "The daemon's database was deleted or replaced while it ran, so nothing can be "
                "recorded and no key can be given.",
                "jamsock daemon restart");
}

// Runs `work`, giving a library's exception the form of an Error; the cause goes to the log.
template <class Work>
Result<> writing(const char* what, const std::string& path, Work work) {
    try {
        work();
        return {};
    } catch (const SQLite::Exception& failure) {
        log::error("store: {}: {} (SQLite code {})", what, failure.what(),
                   failure.getExtendedErrorCode());
        if (failure.getExtendedErrorCode() == SQLITE_CONSTRAINT_PRIMARYKEY) {
            return fail(ErrorCode::conflict, "The key is already held.", "jamsock list");
        }
        if (failure.getExtendedErrorCode() == SQLITE_CONSTRAINT_FOREIGNKEY) {
            return fail(ErrorCode::conflict, "The daemon's database doesn't know the backend.");
        }
        if (is_full_disk(failure)) {
            return fail(ErrorCode::internal,
                        "The disk of the state directory is full, so nothing new can be recorded; "
                        "running backends go on.",
                        show_free_space(path));
        }
        return fail(ErrorCode::internal, "The daemon's database could not be written.",
                    "jamsock daemon logs");
    }
}

// The same for reading: what can't be read counts as absent.
template <class Work>
auto reading(const char* what, Work work) -> decltype(work()) {
    try {
        return work();
    } catch (const SQLite::Exception& failure) {
        log::error("store: {}: {} (SQLite code {})", what, failure.what(),
                   failure.getExtendedErrorCode());
        return {};
    }
}

}  // namespace

Result<> Store::acquire_key(const BackendRecord& backend, const StatusChange& scheduled) {
    if (!is_in_place()) return file_was_replaced();
    return writing("acquire_key", connection_->path, [&] {
        Connection& db = *connection_;
        SQLite::Transaction transaction(db.database, SQLite::TransactionBehavior::IMMEDIATE);

        auto& row =
            db.prepared(db.insert_backend,
                        "INSERT INTO backend (id, serial, mac_key, account, service, "
                        "environment, key, lock_name, mark, fencing_token, created_at, tag, "
                        "argv, cwd, port, max_idle, lifetime, grace, startup, expires_at_boot) "
                        "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
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

        auto& fencing =
            db.prepared(db.insert_fencing,
                        "INSERT INTO fencing (lock_name, token) VALUES (?,?) ON CONFLICT "
                        "(lock_name) DO UPDATE SET token = max(token, excluded.token)");
        fencing.bind(1, backend.lock_name);
        fencing.bind(2, backend.fencing_token);
        fencing.exec();

        insert_status(backend.id, scheduled);
        transaction.commit();
    });
}

void Store::insert_status(const BackendId& backend, const StatusChange& change) {
    auto& row = connection_->prepared(connection_->insert_status,
                                      "INSERT INTO backend_status (backend, status, time, reason, "
                                      "kind, exit_code, exit_signal) VALUES (?,?,?,?,?,?,?)");
    row.bind(1, backend.str());
    row.bind(2, static_cast<int>(change.status));
    row.bind(3, change.time);
    bind_optional(row, 4, as_number(change.reason));
    bind_optional(row, 5, as_number(change.kind));
    bind_optional(row, 6, change.exit ? change.exit->code : std::nullopt);
    bind_optional(row, 7, change.exit ? change.exit->signal : std::nullopt);
    row.exec();
}

Result<> Store::record_status(const BackendId& backend, const StatusChange& change) {
    return writing("record_status", connection_->path, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        insert_status(backend, change);
        if (change.status == Status::terminated) {
            SQLite::Statement end(connection_->database,
                                  "UPDATE backend SET ended = 1 WHERE id = ?");
            end.bind(1, backend.str());
            end.exec();
            SQLite::Statement free(connection_->database, "DELETE FROM held_key WHERE backend = ?");
            free.bind(1, backend.str());
            free.exec();
        }
        transaction.commit();
    });
}

std::int64_t Store::last_fencing_token(const std::string& lock_name) const {
    return reading("last_fencing_token", [&]() -> std::int64_t {
        auto& query = connection_->prepared(connection_->select_fencing,
                                            "SELECT token FROM fencing WHERE lock_name = ?");
        query.bind(1, lock_name);
        return query.executeStep() ? query.getColumn(0).getInt64() : 0;
    });
}

std::vector<BackendRecord> Store::live_backends() const {
    return reading("live_backends", [&]() -> std::vector<BackendRecord> {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend WHERE ended = 0", backend_columns));
        std::vector<BackendRecord> backends;
        while (query.executeStep()) {
            if (auto record = record_in(query)) backends.push_back(std::move(*record));
        }
        return backends;
    });
}

std::optional<BackendRecord> Store::find_backend(const BackendId& id) const {
    return reading("find_backend", [&]() -> std::optional<BackendRecord> {
        SQLite::Statement query(
            connection_->database,
            fmt::format("SELECT {} FROM backend WHERE id = ?", backend_columns));
        query.bind(1, id.str());
        if (!query.executeStep()) return std::nullopt;
        return record_in(query);
    });
}

std::vector<StatusChange> Store::statuses(const BackendId& id) const {
    return reading("statuses", [&]() -> std::vector<StatusChange> {
        SQLite::Statement query(connection_->database,
                                "SELECT status, time, reason, kind, exit_code, exit_signal "
                                "FROM backend_status WHERE backend = ? ORDER BY status");
        query.bind(1, id.str());
        std::vector<StatusChange> changes;
        while (query.executeStep()) {
            StatusChange change{.status = static_cast<Status>(query.getColumn(0).getInt()),
                                .time = query.getColumn(1).getInt64(),
                                .reason = column<TerminationReason>(query, 2),
                                .kind = column<TerminationKind>(query, 3)};
            const ProcessExit exit{column<int>(query, 4), column<int>(query, 5)};
            if (exit.code || exit.signal) change.exit = exit;
            changes.push_back(change);
        }
        return changes;
    });
}

Result<> Store::remember_identity(const std::string& token_hash, const Identity& identity,
                                  std::int64_t now, std::int64_t expires_at) {
    return writing("remember_identity", connection_->path, [&] {
        SQLite::Transaction transaction(connection_->database,
                                        SQLite::TransactionBehavior::IMMEDIATE);
        SQLite::Statement sweep(connection_->database, "DELETE FROM token WHERE expires_at <= ?");
        sweep.bind(1, now);
        sweep.exec();
        SQLite::Statement insert(
            connection_->database,
            "INSERT INTO token (hash, user, auth, expires_at) VALUES (?,?,?,?)");
        bind_bytes(insert, 1, token_hash);
        bind_optional(insert, 2, identity.user);
        bind_optional(insert, 3, identity.auth);
        insert.bind(4, expires_at);
        insert.exec();
        transaction.commit();
    });
}

std::optional<Identity> Store::identity(const std::string& token_hash, std::int64_t now) const {
    return reading("identity", [&]() -> std::optional<Identity> {
        auto& query =
            connection_->prepared(connection_->select_identity,
                                  "SELECT user, auth FROM token WHERE hash = ? AND expires_at > ?");
        bind_bytes(query, 1, token_hash);
        query.bind(2, now);
        if (!query.executeStep()) return std::nullopt;
        return Identity{column<std::string>(query, 0), column<std::string>(query, 1)};
    });
}

std::vector<Store::ServiceRow> Store::services() const {
    return reading("services", [&]() -> std::vector<ServiceRow> {
        SQLite::Statement query(connection_->database,
                                fmt::format("SELECT {} FROM service", service_columns));
        std::vector<ServiceRow> rows;
        while (query.executeStep()) {
            if (auto row = service_in(query)) rows.push_back(std::move(*row));
        }
        return rows;
    });
}

Result<> Store::record_service(const ServiceRow& row) {
    if (!is_in_place()) return file_was_replaced();
    return writing("record_service", connection_->path, [&] {
        SQLite::Statement insert(
            connection_->database,
            fmt::format("INSERT OR REPLACE INTO service ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
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
        insert.exec();
    });
}

Result<> Store::remove_service(const ServiceName& name) {
    if (!is_in_place()) return file_was_replaced();
    return writing("remove_service", connection_->path, [&] {
        const bool whole = name.environment() == ServiceName::default_environment;
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

bool Store::is_in_place() const {
    return file_identity(connection_->path) == connection_->opened_file;
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
